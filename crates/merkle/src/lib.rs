//! The mathematics of a log that nobody can change in silence: Merkle trees with their proofs (RFC 6962), signed notes,
//! checkpoints and cosignatures (C2SP). It knows no file, no clock and nothing of what the leaves mean, and it uses nothing
//! of ours, so that a witness outside can be built on it alone.

mod checkpoint;
mod cosignature;
mod hash;
mod key;
mod note;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, MAX_SIZE};
pub use cosignature::MAX_TIME_S;
pub use hash::{EMPTY_ROOT, HASH_BYTES, Hash, leaf_hash, node_hash};
pub use key::{KeyError, KeyKind, LogSigner, VerifierKey, WitnessSigner, new_secret_pem};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, NoteSignature};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
pub use tree::{Frontier, Hashes, consistency_proof, inclusion_proof, root_of};

#[cfg(test)]
mod tests;
