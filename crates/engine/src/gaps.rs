//! Gaps of the audit that were found while running, until each is told by an entry of the audit that is on disk: while no sink
//! takes an entry they wait, and one whose telling was itself given up is told again. Writes nothing by itself.

use kith_store::Gap;

/// Gaps not told yet, and those whose telling is not known to be on disk.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// After which entry some may be missing.
    untold: Vec<u64>,
    /// The number of the entry that tells it, and after which entry some may be missing.
    told: Vec<(u64, u64)>,
    /// That telling failed has been said.
    complained: bool,
}

impl Gaps {
    /// Takes a gap; it may hold the entries that told of others.
    pub(crate) fn found(&mut self, gap: &Gap) {
        let within = |entry: u64| gap.after_sequence < entry && entry < gap.before_sequence;
        let lost = self.told.extract_if(.., |(entry, _)| within(*entry));
        self.untold.extend(lost.map(|(_, after)| after));
        self.found_after(gap.after_sequence);
    }

    /// Takes the beginning of a gap.
    pub(crate) fn found_after(&mut self, after: u64) {
        if !self.untold.contains(&after) {
            self.untold.push(after);
        }
    }

    /// Tells what is not told; `append` gives the number of the entry that tells of a gap. Of what is on disk up to `synced`,
    /// as it was before gaps were last looked for, nothing will be given up any more. True when telling begins to fail.
    pub(crate) fn tell(&mut self, synced: u64, mut append: impl FnMut(u64) -> Option<u64>) -> bool {
        self.told.retain(|(entry, _)| *entry > synced);
        let told = &mut self.told;
        self.untold.retain(|after| match append(*after) {
            Some(entry) => {
                told.push((entry, *after));
                false
            }
            None => true,
        });
        let fails = !self.untold.is_empty();
        fails && !std::mem::replace(&mut self.complained, fails)
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
