//! Tokens that were verified a little while ago, by the SHA-256 of their bytes: a person sends the same one with each call, and
//! a signature takes longer to verify than a child to be looked up. Bounded by two generations of which the older is dropped
//! whole; what time says of a token is asked anew at each use.

use std::collections::HashMap;

use ring::digest::{SHA256, digest};

use super::claims::Claims;

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenId([u8; 32]);

impl TokenId {
    pub(super) fn of(token: &str) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(id)
    }
}

/// What is known of tokens.
pub(super) struct Known {
    generation: usize,
    young: HashMap<TokenId, Claims>,
    old: HashMap<TokenId, Claims>,
}

impl Known {
    /// Nothing yet, and never more than twice `generation` tokens.
    pub(super) fn new(generation: usize) -> Self {
        Self { generation, young: HashMap::new(), old: HashMap::new() }
    }

    /// The claims of a token that was verified.
    pub(super) fn get(&mut self, id: TokenId) -> Option<Claims> {
        if let Some(claims) = self.young.get(&id) {
            return Some(*claims);
        }
        let claims = self.old.remove(&id)?;
        self.insert(id, claims);
        Some(claims)
    }

    /// Keeps the claims of a token that was verified.
    pub(super) fn insert(&mut self, id: TokenId, claims: Claims) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, claims);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
