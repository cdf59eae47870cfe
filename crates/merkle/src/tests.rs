//! Tests against published values (RFC 6962 trees as Certificate Transparency's implementations test them, RFC 8032, RFC 8410,
//! C2SP, Go's note package) and against a model that follows the text of RFC 6962 word for word.

mod checkpoints;
mod keys;
mod model;
mod notes;
mod proofs;
mod vectors;
