//! What `kith` reads of a MESH mailbox, apart from the program so that fuzzing reaches it. It sends nothing, keeps nothing and takes
//! no message for imported: that is the adapter's, in the program.

pub mod fuzz_entry;
pub mod message;
