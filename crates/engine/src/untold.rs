//! Changes that stand and that no entry of the audit tells of yet: it took entries when they were sent, and none when they had
//! been made. They are kept until it takes one, in order, and until then no further change is taken. An end of the process without
//! order loses them.

use crate::audit_entry::AuditEntry;
use crate::engine::Engine;
use crate::rows::encode;
use kith_domain::refused::Refused;
use kith_store::{AuditError, Journal};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries kept at most: more than calls can be in progress when the audit stops taking entries, and none is begun after that.
const KEPT: usize = 4_096;

/// Entries that the audit has not taken, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<VecDeque<AuditEntry>>);

impl Untold {
    fn lock(&self) -> MutexGuard<'_, VecDeque<AuditEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Keeps an entry; false where there is no room for it.
    fn keep(&self, entry: AuditEntry) -> bool {
        let mut kept = self.lock();
        let room = kept.len() < KEPT;
        if room {
            kept.push_back(entry);
        }
        room
    }

    /// The oldest, to be told now.
    fn next(&self) -> Option<AuditEntry> {
        self.lock().pop_front()
    }

    /// It could not be told.
    fn put_back(&self, entry: AuditEntry) {
        self.lock().push_front(entry);
    }

    /// Hands what is kept to a journal that is about to be closed. What it does not take is lost, and said to be.
    pub(crate) fn hand_to(&self, journal: &Journal) {
        let mut lost = 0_u64;
        while let Some(entry) = self.next() {
            let taken = encode(&entry).is_ok_and(|bytes| journal.append(&bytes).is_ok());
            lost += u64::from(!taken);
        }
        if lost > 0 {
            tracing::error!(lost, "changes stand of which the audit will never tell: it took no entry to the end");
        }
    }
}

impl Engine {
    /// Whether a change may be made: the audit takes entries now, as far as can be told, and knows of every change that stands.
    pub(crate) fn may_change(&self) -> Result<(), Refused> {
        if self.journal().takes_entries() && self.untold.is_empty() { Ok(()) } else { Err(Refused::NOT_AUDITED) }
    }

    /// As [`Engine::audit`], of changes. Where any of them stands and the audit does not take the entry, it is kept, and told once
    /// the audit does.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes it in time: what stands is not to be acknowledged.
    pub async fn audit_change(&self, entry: AuditEntry) -> Result<(), AuditError> {
        let Err(error) = self.audit(&entry).await else { return Ok(()) };
        // What no journal ever takes would keep everything from being changed.
        let never = matches!(error, AuditError::TooLarge { .. });
        if entry.decision.stands() && (never || !self.untold.keep(entry)) {
            tracing::error!(%error, "a change stands of which the audit will never tell");
        }
        Err(error)
    }

    /// Whether changes stand of which no entry tells yet.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Tells the audit of changes that stand, oldest first; false when it did not take one of them.
    pub async fn tell_untold(&self) -> bool {
        while let Some(entry) = self.untold.next() {
            if self.audit(&entry).await.is_err() {
                self.untold.put_back(entry);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::{Call, Decision};
    use crate::files::tests::place::{NOW, Place, event, permit};
    use crate::rows::decode;
    use kith_domain::change::Change;
    use kith_domain::method::Method;
    use kith_domain::proof::PersonProof;

    fn changed(n: u128) -> AuditEntry {
        let call =
            Call { peer: permit(1).peer(), method: Method::SubmitEvents, trace: None, person: PersonProof::NotAsked };
        let decision = Decision::Changed { acknowledged: 1, refused: 0 };
        AuditEntry::of_call(NOW, call, None, Some(uuid::Uuid::from_u128(n)), decision)
    }

    /// What the audit holds of changes, by event id.
    fn told(place: &Place) -> Vec<u128> {
        while place.engine.journal().window().unsynced > 0 {
            std::thread::yield_now();
        }
        let entries = place.engine.journal().read_from(1, 1_000).unwrap();
        let entries = entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
        entries.filter_map(|entry| entry.request_id).map(|id| id.as_u128()).collect()
    }

    #[tokio::test]
    async fn while_the_audit_takes_no_entry_nothing_is_changed() {
        let place = Place::new();
        place.event(1, event(1, 1, 1)).await;
        place.engine.journal().close().unwrap();
        let sent = Change::Plan(event(1, 2, 1));
        let verdicts = place.engine.change(&permit(1), NOW, vec![sent.clone(), sent]).await;
        assert_eq!(verdicts, vec![Err(Refused::NOT_AUDITED); 2]);
        assert!(place.record(1).is_some() && place.record(2).is_none(), "what is refused is not visible");
        let acknowledged = place.engine.acknowledge(&permit(1), NOW, uuid::Uuid::from_u128(9), vec![1]).await;
        assert_eq!(acknowledged, Err(Refused::NOT_AUDITED), "whichever change it is");
    }

    #[tokio::test]
    async fn what_could_not_be_told_is_told_as_a_change_before_anything_else_is_changed() {
        let place = Place::new();
        let sent = || vec![Change::Plan(event(1, 1, 1))];
        assert!(place.engine.untold.keep(changed(7)) && place.engine.untold.keep(changed(8)));
        assert!(place.engine.has_untold());
        assert_eq!(place.engine.change(&permit(1), NOW, sent()).await, vec![Err(Refused::NOT_AUDITED)]);
        assert!(place.record(1).is_none());
        assert!(place.engine.tell_untold().await && !place.engine.has_untold());
        assert_eq!(told(&place), [7, 8]);
        assert!(place.engine.change(&permit(1), NOW, sent()).await[0].is_ok());
        assert!(place.record(1).is_some());
    }

    #[tokio::test]
    async fn what_the_audit_does_not_take_is_kept_in_order_and_bounded() {
        let place = Place::new();
        place.engine.journal().close().unwrap();
        assert!(place.engine.audit_change(changed(1)).await.is_err());
        assert!(place.engine.audit_change(changed(2)).await.is_err());
        assert!(!place.engine.tell_untold().await);
        let ids = || place.engine.untold.lock().iter().filter_map(|kept| kept.request_id).collect::<Vec<_>>();
        assert_eq!(ids(), [1, 2].map(uuid::Uuid::from_u128));
        let room = (0..KEPT as u128).filter(|n| place.engine.untold.keep(changed(*n))).count();
        assert_eq!(room, KEPT - 2);
    }
}
