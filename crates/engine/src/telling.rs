//! What was found while running and is told by an entry of the audit, until that entry is on disk: while no sink takes one it
//! waits, and what was told by an entry that was itself given up is told again. Writes nothing by itself.

use kith_store::Gap;

/// What is not told yet, and what is not known to be told on disk.
#[derive(Debug)]
pub(crate) struct Telling<T> {
    untold: Vec<T>,
    /// The number of the entry that tells it, and what.
    told: Vec<(u64, T)>,
    /// That telling failed has been said.
    complained: bool,
}

impl<T> Default for Telling<T> {
    fn default() -> Self {
        Self { untold: Vec::new(), told: Vec::new(), complained: false }
    }
}

impl<T> Telling<T> {
    /// Takes what is to be told.
    pub(crate) fn add(&mut self, what: T) {
        self.untold.push(what);
    }

    /// Takes what an entry tells that is not known to be on disk.
    pub(crate) fn told_by(&mut self, entry: u64, what: T) {
        self.told.push((entry, what));
    }

    /// Entries within a gap told nothing.
    pub(crate) fn lost(&mut self, gap: &Gap) {
        let within = |entry: u64| gap.after_sequence < entry && entry < gap.before_sequence;
        let lost = self.told.extract_if(.., |(entry, _)| within(*entry));
        self.untold.extend(lost.map(|(_, what)| what));
    }

    /// What is not told yet.
    pub(crate) fn untold(&self) -> &[T] {
        &self.untold
    }

    /// Drops what need not be told: it was before.
    pub(crate) fn forget(&mut self, is_told: impl Fn(&T) -> bool) {
        self.untold.retain(|what| !is_told(what));
    }

    /// Whether everything is told, and on disk.
    pub(crate) fn is_done(&self) -> bool {
        self.untold.is_empty() && self.told.is_empty()
    }

    /// Tells what is not told; `append` gives the number of the entry that tells of it. Of what is on disk up to `synced`, as
    /// it was before gaps were last looked for, nothing will be given up any more. True when telling begins to fail.
    pub(crate) fn tell(&mut self, synced: u64, mut append: impl FnMut(&T) -> Option<u64>) -> bool {
        self.told.retain(|(entry, _)| *entry > synced);
        let mut waits = Vec::new();
        for what in self.untold.drain(..) {
            match append(&what) {
                Some(entry) => self.told.push((entry, what)),
                None => waits.push(what),
            }
        }
        self.untold = waits;
        let fails = !self.untold.is_empty();
        fails && !std::mem::replace(&mut self.complained, fails)
    }
}
