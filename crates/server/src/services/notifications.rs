//! `NotificationService`: what an authority hears of its own children.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::convert::{caller, notification, plan, time};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_engine::{Became, Call, Engine, heard};
use tonic::{Request, Response, Status};

use super::context::{self, Sender, Services, now};
use super::turns::Unread;
use super::{errors, places};
use v1::notification_service_server::NotificationService;

/// Notifications in a page when the caller names no number.
const DEFAULT_PAGE: u32 = 100;
/// The one journal of a process; references carry it so that there may be more.
pub(super) const JOURNAL: u16 = 1;
/// Most notifications in a page, and most ids acknowledged at once.
const MAX_PAGE: u32 = 500;

/// Page size.
pub(super) fn page_size(size: u32) -> Result<usize, Faults> {
    let mut faults = Faults::default();
    if size > MAX_PAGE {
        faults.add("page_size", "PAGE_TOO_LARGE", format!("a page has at most {MAX_PAGE} entries"));
    }
    let size = if size == 0 { DEFAULT_PAGE } else { size };
    faults.finish(Some(size as usize))
}

/// Page size and the id to begin after.
pub(super) fn page_of(size: u32, token: &str) -> Result<(usize, u64), Faults> {
    page_after(size, token, |token| token.parse::<u64>().ok()).map(|(size, after)| (size, after.unwrap_or(0)))
}

/// Page size, and what to begin after as `read` takes it from a token.
pub(super) fn page_after<P>(
    size: u32,
    token: &str,
    read: impl Fn(&str) -> Option<P>,
) -> Result<(usize, Option<P>), Faults> {
    let mut faults = Faults::default();
    let size = page_size(size).map_err(|fault| faults.0.extend(fault.0)).ok();
    let after = match token {
        "" => Some(None),
        token => faults.take("page_token", "BAD_PAGE_TOKEN", read(token).ok_or("not a page token")).map(Some),
    };
    faults.finish(size.zip(after))
}

/// The named person of an authority that the directory knows, and the permit to read what is its own.
pub(super) async fn reader(
    engine: &Engine,
    call: Call,
    caller: Option<v1::Caller>,
) -> Result<(ActionPermit, Caller), Status> {
    let mut faults = Faults::default();
    let parsed = caller::parse(&mut faults, "caller", caller);
    let caller = match faults.finish(parsed) {
        Ok(caller) => caller,
        Err(faults) => return Err(context::malformed(engine, call, faults).await),
    };
    let permit = context::permit(engine, call, &caller).await?;
    context::authority(engine, call, &caller).await?;
    Ok((permit, caller))
}

#[tonic::async_trait]
impl NotificationService for Services {
    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListNotifications)?;
        let v1::ListRequest { page_size, page_token, include_acknowledged, caller } = request.into_inner();
        let (permit, caller) = reader(&engine, call, caller).await?;
        let (limit, after) = match page_of(page_size, &page_token) {
            Ok(page) => page,
            Err(faults) => return Err(context::malformed(&engine, call, faults.by(&caller)).await),
        };
        let reader = Arc::clone(&engine);
        let read = move || reader.notifications(&permit, after, limit, include_acknowledged);
        let page = self.list_turns().run(call.peer.organisation, read).await;
        let page = page.and_then(|page| page.map_err(|error| Unread::rows("notifications", error)));
        let page = context::whole(&engine, call, &caller, page).await?;
        let listed = page.notifications.iter().map(|stored| stored.notification.subject.clone()).collect();
        context::listed(&engine, call, caller, listed).await?;
        let directory = engine.directory();
        let gap = |(at, gap): &(_, kith_domain::change::AuditGap)| v1::AuditGap {
            after_audit_reference: kith_engine::AuditRef { journal: JOURNAL, sequence: gap.after_audit_sequence }
                .to_string(),
            found_at: Some(time::timestamp(*at)),
        };
        Ok(Response::new(v1::ListResponse {
            notifications: page
                .notifications
                .iter()
                .map(|n| notification::wire(n.id, &n.notification, directory))
                .collect(),
            next_page_token: page.next_after.map(|after| after.to_string()).unwrap_or_default(),
            gaps: page.gaps.iter().map(gap).collect(),
        }))
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::AcknowledgeNotifications)?;
        let v1::AcknowledgeRequest { ids, event_id, caller } = request.into_inner();
        let (permit, caller) = reader(&engine, call, caller).await?;
        let event_id = match plan::acknowledging(&ids, &event_id, MAX_PAGE as usize) {
            Ok(event_id) => event_id,
            Err(faults) => return Err(context::malformed(&engine, call, faults.by(&caller)).await),
        };
        let permit = Arc::new(permit);
        let (known, reader, asked) = (Arc::clone(&engine), Arc::clone(&permit), ids.clone());
        let read = move || known.notified_about(&reader, &asked);
        let found = self.list_turns().run(call.peer.organisation, read).await;
        let found = found.and_then(|found| found.map_err(|error| Unread::rows("notifications", error)));
        let (about, unknown_ids) = context::whole(&engine, call, &caller, found).await?;
        let sender = Sender::of_event(call, caller, event_id);
        let ack = places::to_its_end(self.begin(&engine, call)?, async move {
            let verdict = engine.acknowledge(&permit, now(), event_id, ids).await;
            if verdict.is_err() || about.is_empty() {
                return context::one_changed(&engine, sender, verdict).await;
            }
            // In one entry, for how many entries there are would tell how much the authority heard.
            let one = |subject| engine.each_of(None, vec![subject], Became::of(&verdict), false);
            let mut told = Ok(());
            for decision in heard(about.into_iter().flat_map(one).collect()) {
                told = context::told(&engine, sender.clone().entry(decision)).await.and(told);
            }
            told?;
            verdict.map_err(errors::refused)
        })
        .await?;
        let ack = plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect);
        Ok(Response::new(v1::AcknowledgeResponse { acknowledgement: Some(ack), unknown_ids }))
    }
}
