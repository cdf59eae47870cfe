//! What `kith` reads: of answers, of a MESH mailbox and of its own notes, apart from the program so that fuzzing reaches it. It sends
//! nothing, keeps nothing and takes no message for imported: that is the program's.

pub mod exit;
pub mod fuzz_entry;
pub mod message;
pub mod note;
pub mod reading;
