//! What one source address may hold before its certificate is known: unfinished handshakes, and turns at doing one. Whoever
//! stalls handshakes keeps nobody out who comes from elsewhere.
//! Never remembers an address that has nothing under way.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::load::{Bound, Held};

/// Addresses looked through before those with nothing under way are forgotten, at least.
const SWEPT_AT_LEAST: usize = 64;

/// The part of an address of version 6 that one network has for itself.
const NETWORK_BITS: u32 = 64;

/// What one address has under way.
#[derive(Debug)]
pub(crate) struct Address {
    unfinished: Arc<Bound>,
    turns: Arc<Semaphore>,
    turns_of_all: Arc<Semaphore>,
}

/// A turn at doing a handshake; given back on drop.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Address {
    /// A place for an unfinished handshake, or nothing when the address has as many as it may.
    pub(crate) fn begin(&self) -> Option<Held> {
        self.unfinished.take()
    }

    /// Waits for a turn: first among those of this address, so that they never fill everybody's queue.
    ///
    /// # Errors
    /// Never: nobody closes what is waited for.
    pub(crate) async fn turn(&self) -> Result<Turn, AcquireError> {
        let own = Arc::clone(&self.turns).acquire_owned().await?;
        let of_all = Arc::clone(&self.turns_of_all).acquire_owned().await?;
        Ok(Turn { _own: own, _of_all: of_all })
    }
}

/// Every address with something under way.
#[derive(Debug)]
pub(crate) struct Addresses {
    of: Mutex<HashMap<IpAddr, Weak<Address>>>,
    turns: Arc<Semaphore>,
    turns_each: usize,
    unfinished_each: usize,
}

impl Addresses {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            of: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits.concurrent_handshakes)),
            turns_each: limits.part_of(limits.concurrent_handshakes),
            unfinished_each: limits.part_of(limits.max_connections),
        }
    }

    /// What this address has under way; forgotten when nobody holds it any more.
    pub(crate) fn of(&self, address: IpAddr) -> Arc<Address> {
        let network = network(address);
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&network).and_then(Weak::upgrade) {
            return known;
        }
        if all.len() >= SWEPT_AT_LEAST && all.len() == all.capacity() {
            all.retain(|_, one| one.strong_count() > 0);
        }
        let new = Arc::new(Address {
            unfinished: Bound::new(self.unfinished_each),
            turns: Arc::new(Semaphore::new(self.turns_each)),
            turns_of_all: Arc::clone(&self.turns),
        });
        all.insert(network, Arc::downgrade(&new));
        new
    }
}

/// The address, or of version 6 the network that it is in: there a peer has as many addresses as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !(u128::MAX >> NETWORK_BITS))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses::new(&Limits { concurrent_handshakes: 8, max_connections: 12, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_stalls_keeps_no_other_out() {
        let all = addresses();
        let (stalling, other) = (all.of(ip("192.0.2.1")), all.of(ip("192.0.2.2")));
        let _stalled = (stalling.turn().await.unwrap(), stalling.turn().await.unwrap());
        let waits = tokio::spawn(async move { stalling.turn().await.map(drop) });
        tokio::task::yield_now().await;
        drop(other.turn().await.unwrap());
        assert!(!waits.is_finished(), "a quarter of the turns is an address's");
        waits.abort();
    }

    #[test]
    fn an_address_has_a_part_of_the_places_and_gets_them_back() {
        let all = addresses();
        let (first, same) = (all.of(ip("192.0.2.1")), all.of(ip("::ffff:192.0.2.1")));
        let held: Vec<_> = [&first, &same, &first, &same].iter().map(|one| one.begin()).collect();
        assert_eq!(held.iter().filter(|place| place.is_some()).count(), 3);
        assert!(all.of(ip("192.0.2.2")).begin().is_some());
        drop(held);
        assert!(first.begin().is_some());
    }

    #[test]
    fn of_version_6_a_network_counts() {
        let all = addresses();
        let (first, same) = (all.of(ip("2001:db8:0:1::1")), all.of(ip("2001:db8:0:1:ffff::2")));
        assert!(Arc::ptr_eq(&first, &same));
        assert!(!Arc::ptr_eq(&first, &all.of(ip("2001:db8:0:2::1"))));
    }

    #[test]
    fn addresses_with_nothing_under_way_are_forgotten() {
        let all = addresses();
        let kept = all.of(ip("192.0.2.1"));
        for number in 0..100_000_u32 {
            all.of(IpAddr::V4((0x0a00_0000 + number).into()));
        }
        assert!(all.of.lock().unwrap().len() < 1_000, "they pile up");
        assert!(Arc::ptr_eq(&kept, &all.of(ip("192.0.2.1"))));
    }
}
