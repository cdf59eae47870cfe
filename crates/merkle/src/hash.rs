//! The two hashes of RFC 6962, section 2.1. Leaves and nodes begin with different bytes, so that one is never taken for the
//! other.

use ring::digest::{Context, SHA256};

/// Length of a hash, in bytes.
pub const HASH_BYTES: usize = 32;

/// The hash of a leaf, of a node, or of a whole tree: SHA-256.
pub type Hash = [u8; HASH_BYTES];

/// The root of a tree without leaves: the hash of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// First byte of what is hashed for a leaf.
const LEAF: u8 = 0;
/// First byte of what is hashed for a node.
const NODE: u8 = 1;

/// The hash of a leaf whose bytes are `parts`, end to end.
#[must_use]
pub fn leaf_hash(parts: &[&[u8]]) -> Hash {
    hashed(LEAF, parts)
}

/// The hash of a node above `left` and `right`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hashed(NODE, &[left, right])
}

fn hashed(kind: u8, parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[kind]);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; HASH_BYTES];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}
