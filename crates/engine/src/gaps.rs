//! Gaps of the audit that were found while running, until each is told by an entry of the audit that is on disk. Writes nothing
//! by itself.

use crate::telling::Telling;
use kith_store::Gap;

/// Gaps not told yet, and those whose telling is not known to be on disk; each by the entry after which some may be missing.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Telling<u64>);

impl Gaps {
    /// Takes a gap; it may hold the entries that told of others.
    pub(crate) fn found(&mut self, gap: &Gap) {
        self.0.lost(gap);
        self.found_after(gap.after_sequence);
    }

    /// Takes the beginning of a gap.
    pub(crate) fn found_after(&mut self, after: u64) {
        if !self.0.untold().contains(&after) {
            self.0.add(after);
        }
    }

    /// Takes the beginning of a gap that a start found, and the entry that tells of it.
    pub(crate) fn told_by(&mut self, entry: u64, after: u64) {
        self.0.told_by(entry, after);
    }

    /// Tells what is not told; `append` gives the number of the entry that tells of a gap. Of what is on disk up to `synced`,
    /// as it was before gaps were last looked for, nothing will be given up any more. True when telling begins to fail.
    pub(crate) fn tell(&mut self, synced: u64, mut append: impl FnMut(u64) -> Option<u64>) -> bool {
        self.0.tell(synced, |after| append(*after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_store::GapCause;

    fn gap(after_sequence: u64, before_sequence: u64) -> Gap {
        Gap { after_sequence, before_sequence, cause: GapCause::SyncFailed }
    }

    #[test]
    fn a_gap_waits_until_the_audit_takes_its_entry_and_is_told_once() {
        let mut gaps = Gaps::default();
        gaps.found(&gap(2, 4));
        assert!(gaps.tell(1, |_| None), "telling begins to fail");
        assert!(!gaps.tell(1, |_| None), "which is said once");
        let mut told = Vec::new();
        for synced in [1, 5, 9] {
            assert!(!gaps.tell(synced, |after| {
                told.push(after);
                Some(5)
            }));
        }
        assert_eq!(told, [2]);
    }

    #[test]
    fn a_gap_that_a_start_told_of_is_told_again_where_that_entry_was_given_up() {
        let mut gaps = Gaps::default();
        gaps.told_by(7, 3);
        gaps.found(&gap(6, 8));
        let mut told = Vec::new();
        for synced in [6, 9, 12] {
            assert!(!gaps.tell(synced, |after| {
                told.push(after);
                Some(9)
            }));
        }
        assert_eq!(told, [3, 6]);
        // And not where it reached the disk.
        gaps.told_by(20, 15);
        assert!(!gaps.tell(20, |_| None));
        gaps.found(&gap(18, 22));
        assert!(!gaps.tell(22, |after| {
            told.push(after);
            Some(23)
        }));
        assert_eq!(told, [3, 6, 18]);
    }

    #[test]
    fn a_gap_whose_telling_was_given_up_is_told_again() {
        let mut gaps = Gaps::default();
        gaps.found(&gap(2, 4));
        gaps.tell(3, |_| Some(5));
        gaps.found(&gap(4, 6));
        let mut told = Vec::new();
        gaps.tell(3, |after| {
            told.push(after);
            Some(8 + after)
        });
        assert_eq!(told, [2, 4]);
        // On disk by now: a later gap before it has nothing to do with it.
        gaps.tell(20, |_| None);
        gaps.found(&gap(9, 13));
        let mut again = Vec::new();
        gaps.tell(20, |after| {
            again.push(after);
            Some(21)
        });
        assert_eq!(again, [9]);
    }
}
