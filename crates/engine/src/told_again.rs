//! Entries that are told again. A write that was given up may come about all the same, long after its change was told under another
//! number. So the later entry names the numbers of the earlier ones, by which whoever reads the audit takes them for one. A number
//! alone is no proof: where the write was never begun another entry has it, and then the two are not the same.

use crate::audit_entry::{AuditEntry, Decision};
use crate::rows::{decode, encode};
use kith_store::{AuditRef, Journal};

/// Numbers that an entry names at most, the newest: more than a disk in trouble gives up between two that it takes.
const EARLIER: usize = 64;

/// An entry to be told later, and the numbers under which it may stand already.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) entry: AuditEntry,
    earlier: Vec<u64>,
}

impl From<AuditEntry> for Kept {
    /// One that stands nowhere.
    fn from(entry: AuditEntry) -> Self {
        Self { entry, earlier: Vec::new() }
    }
}

impl Kept {
    /// It was tried, and may stand under this number.
    pub(crate) fn tried(&mut self, given: Option<AuditRef>) {
        self.earlier.extend(given.map(|reference| reference.sequence));
        if self.earlier.len() > EARLIER {
            self.earlier.remove(0);
        }
    }

    /// Whether one of those that were given up stands after all, so that it need not be told. Reads the disk.
    pub(crate) fn stands(&self, journal: &Journal) -> bool {
        stands_under(journal, &self.entry, &self.earlier)
    }

    /// The entry that tells it now.
    pub(crate) fn as_told(&self) -> AuditEntry {
        let again = |decision| Decision::ToldAgain { earlier: self.earlier.clone(), decision };
        match encode(&self.entry.decision) {
            Ok(decision) if !self.earlier.is_empty() => AuditEntry { decision: again(decision), ..self.entry.clone() },
            // One that has no bytes is taken by no journal either.
            Ok(_) | Err(_) => self.entry.clone(),
        }
    }
}

impl AuditEntry {
    /// The entry as it was first made, and the numbers under which it may stand as well.
    pub(crate) fn told(self) -> (Self, Vec<u64>) {
        let Decision::ToldAgain { earlier, decision } = &self.decision else { return (self, Vec::new()) };
        let (first, earlier) = (decode::<Decision>(decision), earlier.clone());
        match first {
            Ok(decision) => (Self { decision, ..self }, earlier),
            // It is shown as what it is, and counts for itself.
            Err(_) => (self, Vec::new()),
        }
    }
}

/// Whether the very same entry stands under one of these numbers. Reads the disk, but not for what was given up and has not come
/// about: that disk may hang, and nothing is changed before the entry is told.
pub(crate) fn stands_under(journal: &Journal, entry: &AuditEntry, earlier: &[u64]) -> bool {
    let is_it = |plain: &[u8]| decode::<AuditEntry>(plain).is_ok_and(|found| found.told().0 == *entry);
    earlier.iter().take(EARLIER).filter(|number| journal.may_be_read(**number)).any(|number| {
        let read = journal.read_from(*number, 1).unwrap_or_default();
        read.iter().any(|(reference, plain)| reference.sequence == *number && is_it(plain.as_slice()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::Call;
    use crate::audit_search::{AuditBounds, AuditPage};
    use crate::files::tests::place::{NOW, Place, nhs, permit};
    use kith_domain::audit_query::{AuditQuery, AuditScope};
    use kith_domain::child::Subject;
    use kith_domain::method::Method;
    use kith_domain::proof::PersonProof;
    use kith_domain::time::Moment;
    use uuid::Uuid;

    fn changed(id: u128) -> AuditEntry {
        let call = Call { peer: permit(1).peer(), method: Method::Record, trace: None, person: PersonProof::NotAsked };
        let decision = Decision::Changed { acknowledged: 1, refused: 0 };
        let entry = AuditEntry::of_call(NOW, call, None, Some(Uuid::from_u128(id)), decision);
        AuditEntry { subject: Some(Subject::Nhs(nhs(1))), ..entry }
    }

    fn append(place: &Place, entry: &AuditEntry) -> AuditRef {
        let reference = place.engine.journal().append(&encode(entry).unwrap()).unwrap();
        while place.engine.journal().window().unsynced > 0 {
            std::thread::yield_now();
        }
        reference
    }

    /// An entry whose write was given up under this number.
    fn given_up(entry: AuditEntry, under: AuditRef) -> Kept {
        let mut kept = Kept::from(entry);
        kept.tried(Some(under));
        kept
    }

    fn search(place: &Place, query: &AuditQuery) -> Vec<(u64, Decision)> {
        let bounds = AuditBounds { given: 100, looked_at: 1_000 };
        let AuditPage { found, .. } =
            place.engine.search_audit(AuditScope::All, query, None, bounds, NOW).expect("an auditor sees all");
        found.into_iter().map(|entry| (entry.reference.sequence, entry.decision)).collect()
    }

    fn of_child() -> AuditQuery {
        AuditQuery { child: Some(nhs(1)), ..AuditQuery::default() }
    }

    #[tokio::test]
    async fn what_came_about_after_all_is_not_told_again() {
        let place = Place::new();
        let first = append(&place, &changed(7));
        place.engine.tell_later(given_up(changed(7), first), kith_store::AuditError::TooLate);
        assert!(place.engine.has_untold());
        assert!(place.engine.tell_untold().await && !place.engine.has_untold());
        let decision = Decision::Changed { acknowledged: 1, refused: 0 };
        assert_eq!(search(&place, &of_child()), [(first.sequence, decision)]);
        assert!(append(&place, &changed(8)).sequence == first.sequence + 1, "nothing was written for it");
    }

    /// It comes about when it has been told already.
    #[test]
    fn what_was_told_again_and_came_about_all_the_same_is_found_once() {
        let place = Place::new();
        let first = append(&place, &changed(7));
        let again = append(&place, &given_up(changed(7), first).as_told());
        let decision = Decision::Changed { acknowledged: 1, refused: 0 };
        assert_eq!(search(&place, &of_child()), [(first.sequence, decision.clone())], "by the number of the first");
        let by_number = AuditQuery { entry: Some(again.sequence), ..AuditQuery::default() };
        assert_eq!(search(&place, &by_number), [(again.sequence, decision)], "and the other by its own");
    }

    #[tokio::test]
    async fn another_entry_under_the_number_hides_nothing() {
        let place = Place::new();
        let first = append(&place, &changed(8));
        let kept = given_up(changed(7), first);
        assert!(!kept.stands(place.engine.journal()));
        place.engine.tell_later(kept, kith_store::AuditError::TooLate);
        assert!(place.engine.tell_untold().await);
        append(&place, &changed(9));
        assert_eq!(search(&place, &of_child()).len(), 3);
    }

    #[test]
    fn what_is_told_again_is_the_entry_that_it_was_beside_its_numbers_and_they_are_bounded() {
        let mut kept = Kept::from(changed(7));
        assert_eq!(kept.as_told(), changed(7), "it stands nowhere");
        for sequence in 1..=EARLIER as u64 + 3 {
            kept.tried(Some(AuditRef { journal: 1, sequence }));
        }
        kept.tried(None);
        let told = kept.as_told();
        assert_eq!((told.subject.clone(), told.request_id), (changed(7).subject, changed(7).request_id));
        let (entry, earlier) = told.told();
        assert_eq!((entry, earlier), (changed(7), (4..=EARLIER as u64 + 3).collect::<Vec<_>>()));
    }

    #[test]
    fn it_has_the_bytes_that_are_kept() {
        let decision = Decision::ToldAgain { earlier: vec![300], decision: vec![1, 3] };
        let bytes = encode(&AuditEntry::of_service(Moment(1_000), decision)).unwrap();
        assert_eq!(hex::encode(bytes), "01d00f0000000000001701ac0202010300000000000000");
    }
}
