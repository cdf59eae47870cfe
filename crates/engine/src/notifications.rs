//! Access notifications as an authority reads them: its own alone, in order of id, in pages.

use crate::engine::Engine;
use crate::keys;
use crate::purge_apply;
use crate::rows::{CodecError, MetaRow, decode};
use crate::writer::Verdict;
use kith_domain::change::{Acknowledged, AuditGap, Change};
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::notify::{self, Notification};
use kith_domain::permit::ActionPermit;
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_store::{StoreError, Table};
use std::ops::ControlFlow;
use uuid::Uuid;

/// Rows looked at for one page, so that many acknowledged ones cannot make one call long.
const MAX_SCANNED: usize = 5_000;
/// Bytes of the authority's pseudonym before the id in a key.
const PREFIX_BYTES: usize = 16;

/// A notification with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotification {
    /// Its id, unique over all authorities.
    pub id: u64,
    /// What the authority is told.
    pub notification: Notification,
}

/// A page of notifications.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationPage {
    /// In order of id.
    pub notifications: Vec<StoredNotification>,
    /// The id after which the next page begins; none at the end.
    pub next_after: Option<u64>,
    /// Gaps of the audit, newest first.
    pub gaps: Vec<(Moment, AuditGap)>,
}

impl Engine {
    /// Lists an authority's notifications after an id.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be read.
    pub fn notifications(
        &self,
        permit: &ActionPermit,
        after: u64,
        limit: usize,
        include_acknowledged: bool,
    ) -> Result<NotificationPage, StoreError> {
        let Ok(authority) = LaCode::parse(permit.peer().organisation.as_str()) else {
            return Ok(NotificationPage::default());
        };
        let mut page = NotificationPage::default();
        let (mut scanned, mut last) = (0, after);
        let prefix = keys::notifications(&self.keys, authority);
        let from = keys::notification(&self.keys, authority, after.saturating_add(1));
        self.store.scan(Table::Notification, &from, &prefix, &mut |key, bytes| {
            if page.notifications.len() == limit || scanned == MAX_SCANNED {
                page.next_after = Some(last);
                return ControlFlow::Break(());
            }
            scanned += 1;
            let id = key.get(PREFIX_BYTES..).and_then(|id| id.try_into().ok()).map_or(0, u64::from_be_bytes);
            last = id;
            if let Ok(notification) = decode_logged::<Notification>(bytes)
                && (include_acknowledged || !notification.acknowledged)
                && let Some(notification) = self.as_shielded_now(notification, authority)
            {
                page.notifications.push(StoredNotification { id, notification });
            }
            ControlFlow::Continue(())
        })?;
        if let Some(bytes) = self.store.get(Table::Meta, keys::META)?
            && let Ok(meta) = decode_logged::<MetaRow>(&bytes)
        {
            page.gaps = meta.gaps.into_iter().rev().collect();
        }
        Ok(page)
    }

    /// A notification as it may be told today: of a child who is shielded now, only to those who shield, without a place.
    fn as_shielded_now(&self, mut notification: Notification, authority: LaCode) -> Option<Notification> {
        let find = |subject: &Subject| Ok(self.index().person(subject));
        if !purge_apply::is_stale(&notification, find).is_ok_and(|stale| !stale) {
            return None;
        }
        let person = self.index().person(&notification.subject);
        // Where the person was seen or asked about is for those alone whom the person concerns now.
        if notification.cause.organisation().is_some() && !notify::concerns(&person, authority) {
            return None;
        }
        if !person.is_shielded() {
            return Some(notification);
        }
        notification.shielded = true;
        // What is told of a number gives no place, and where only the demographics service shields nobody else would hear.
        let setters = person.setters();
        let may = setters.is_empty() || setters.contains(&authority) || notification.cause.organisation().is_none();
        may.then_some(notification)
    }

    /// Whom this authority's notifications with these ids are about, and ids that are not its own. Reads the disk: not for the
    /// threads that answer questions.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be read.
    pub fn notified_about(&self, permit: &ActionPermit, ids: &[u64]) -> Result<(Vec<Subject>, Vec<u64>), StoreError> {
        let Ok(authority) = LaCode::parse(permit.peer().organisation.as_str()) else {
            return Ok((Vec::new(), ids.to_vec()));
        };
        let (mut about, mut unknown) = (Vec::new(), Vec::new());
        for id in ids {
            let key = keys::notification(&self.keys, authority, *id);
            match self.store.get(Table::Notification, &key)? {
                Some(bytes) => about.extend(decode_logged::<Notification>(&bytes).ok().map(|found| found.subject)),
                None => unknown.push(*id),
            }
        }
        Ok((about, unknown))
    }

    /// Acknowledges an authority's notifications; ids that are not its own change nothing.
    pub async fn acknowledge(&self, permit: &ActionPermit, at: Moment, event_id: Uuid, ids: Vec<u64>) -> Verdict {
        let Ok(authority) = LaCode::parse(permit.peer().organisation.as_str()) else {
            return Err(Refused::UNKNOWN_AUTHORITY);
        };
        let change = Change::Acknowledged(Acknowledged { authority, event_id, ids });
        self.change_one(permit, at, change).await
    }
}

fn decode_logged<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode(bytes).inspect_err(|error| tracing::error!(%error, "a row of the state cannot be decoded"))
}
