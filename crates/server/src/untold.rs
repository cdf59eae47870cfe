//! Refusals of a file that are not in the audit yet. Each is told until the audit has taken it, though the file may be another by
//! then; none is ever forgotten because the audit took no entry just when it was found.

use std::sync::{Mutex, PoisonError};

/// Kept at most while the audit takes no entry; nobody is answered then, and one more of the same says nothing new.
const KEPT: u32 = 256;

/// How many there are; of which file, whoever holds this knows.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<u32>);

impl Untold {
    /// Notes one more.
    pub(crate) fn note(&self) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(1).min(KEPT);
    }

    /// Tells them, one after the other, until one is not taken: that one comes first the next time.
    pub(crate) fn tell<E>(&self, mut tell: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *left > 0 {
            tell()?;
            *left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_told_again_and_what_is_taken_never() {
        let untold = Untold::default();
        (0..3).for_each(|_| untold.note());
        let mut room = 1;
        let mut take = |tried: &mut u32| {
            *tried += 1;
            room -= 1;
            if room >= 0 { Ok(()) } else { Err("the audit takes no entry") }
        };
        let mut tried = 0;
        assert!(untold.tell(|| take(&mut tried)).is_err());
        assert_eq!(tried, 2, "it goes on though one was not taken");
        let mut told = 0;
        let mut taken = || {
            told += 1;
            Ok::<(), ()>(())
        };
        assert_eq!([untold.tell(&mut taken), untold.tell(&mut taken)], [Ok(()); 2]);
        assert_eq!(told, 2);
    }

    #[test]
    fn no_more_are_kept_than_anybody_reads() {
        let untold = Untold::default();
        (0..2 * KEPT).for_each(|_| untold.note());
        let mut told = 0;
        let taken = untold.tell(|| {
            told += 1;
            Ok::<(), ()>(())
        });
        assert_eq!((taken, told), (Ok(()), KEPT));
    }
}
