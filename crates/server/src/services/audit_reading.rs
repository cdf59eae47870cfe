//! Reading the audit: a search for an auditor, and who looked up a child for an authority and a safeguarding team too. What was read
//! is an entry of the audit before any of it leaves. Searching has a thread of its own, which gives way to those that answer questions
//! (`turns`).

use std::sync::Arc;

use kith_api::convert::audit;
use kith_api::convert::fault::Faults;
use kith_api::v1;
use kith_domain::audit_query::{AuditQuery, AuditScope};
use kith_domain::caller::Caller;
use kith_domain::method::Method;
use kith_domain::permit;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::{
    AnswerRef, AuditBounds, AuditEntry, AuditPage, AuditRead, AuditRef, AuditSearchError, Call, Decision, Engine,
};
use tonic::{Code, Request, Status};

use super::context::{self, Services, now};
use super::notifications::JOURNAL;
use super::{audit_proofs, audit_wire, errors};
use crate::refusal::status;

/// Entries that one call looks at: a fraction of a second's work. A range of time ends where so many in a row are older.
const LOOKED_AT: u64 = 20_000;

/// A call to read the audit, before its message is looked at.
struct Reading {
    engine: Arc<Engine>,
    call: Call,
    caller: Caller,
    scope: AuditScope,
}

impl Reading {
    /// Who reads, and whether they may.
    async fn begin<T>(services: &Services, request: &Request<T>, method: Method) -> Result<Self, Status> {
        let engine = services.engine()?;
        let call = services.call(request, method)?;
        let caller = context::person(&engine, call, services.named(request)).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        match permit::audit_scope(&permit) {
            Ok(scope) => Ok(Self { engine, call, caller, scope }),
            Err(refused) => Err(context::not_allowed(&engine, call, caller, refused).await),
        }
    }

    /// Searches, and puts into the audit what was read before any of it leaves.
    async fn run(self, services: &Services, query: AuditQuery, page: Page<'_>) -> Result<Read, Status> {
        let Self { engine, call, caller, scope } = self;
        let Page { size, token, mut faults } = page;
        let given = audit::page_size(&mut faults, size);
        let before = match token {
            "" => None,
            token => {
                let before = engine.audit_page_before((call.peer, &caller.user_id), &query, token);
                faults.take("page_token", "BAD_PAGE_TOKEN", before.ok_or("not a page token of this search"))
            }
        };
        if let Err(faults) = faults.finish(Some(())) {
            return Err(context::malformed(&engine, call, faults.by(&caller)).await);
        }
        let bounds = AuditBounds { given, looked_at: LOOKED_AT };
        let (reader, wanted) = (Arc::clone(&engine), query.clone());
        let search = move || reader.search_audit(scope, &wanted, before, bounds, now());
        let found = services.audit_turns().run(call.peer.organisation, search).await;
        let found = context::whole(&engine, call, &caller, found).await?;
        let subject = query.subject();
        let (decision, read) = match found {
            Ok(page) => (Decision::AuditRead(Box::new(told(&query, &page))), Ok(page)),
            Err(AuditSearchError::NoPlanHeld) => (Decision::Refused(RefusalCode::of("NO_PLAN_HELD")), Err(no_plan())),
        };
        let reader = caller.user_id.clone();
        let entry = AuditEntry { subject, ..AuditEntry::of_call(now(), call, Some(caller), None, decision) };
        if read.is_err() {
            // Whoever asks for what is not theirs in a loop is counted like any who is refused.
            engine.audit_refusal(&entry).await.map_err(errors::audit(&engine))?;
        } else {
            engine.audit(&entry).await.map_err(errors::audit(&engine))?;
        }
        let page = read?;
        let token = page.next_before.map(|before| engine.audit_page_token((call.peer, &reader), &query, before));
        Ok(Read { engine, page, token: token.unwrap_or_default() })
    }
}

/// Which page is asked for, and the faults of the message so far.
struct Page<'a> {
    size: u32,
    token: &'a str,
    faults: Faults,
}

/// What was read, once that is in the audit.
struct Read {
    engine: Arc<Engine>,
    page: AuditPage,
    token: String,
}

fn no_plan() -> Status {
    let message = "who looked is told to an authority that holds a plan of the child, and of a shielded child to those who shield";
    status(Code::PermissionDenied, "NO_PLAN_HELD", message, None)
}

/// What the audit keeps of a reading.
fn told(query: &AuditQuery, page: &AuditPage) -> AuditRead {
    let AuditQuery { child: _, local_key: _, person, organisation, from, until, entry, lookups: _ } = query.clone();
    AuditRead { person, organisation, from, until, entry, given: page.found.len() as u64, looked_at: page.looked_at }
}

/// The number of an entry; none where no reference is given.
fn entry(faults: &mut Faults, text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let read = text.parse::<AuditRef>().ok().filter(|reference| reference.journal == JOURNAL);
    let read = faults.take("audit_reference", "BAD_AUDIT_REFERENCE", read.ok_or("not an audit reference"));
    read.map(|reference| reference.sequence)
}

/// `AuditService/Search`.
pub(super) async fn search(
    services: &Services,
    request: Request<v1::SearchRequest>,
) -> Result<v1::SearchResponse, Status> {
    let reading = Reading::begin(services, &request, Method::SearchAudit).await?;
    let message = request.into_inner();
    let text = &message.audit_reference;
    if text.parse::<AuditRef>().is_err() && text.parse::<AnswerRef>().is_ok() {
        let Reading { engine, call, caller, scope: _ } = reading;
        return Err(context::broken(&engine, call, caller, audit_proofs::shielded()).await);
    }
    let mut faults = Faults::default();
    let query = audit::search(&mut faults, &message);
    let query = AuditQuery { entry: entry(&mut faults, &message.audit_reference), ..query };
    let page = Page { size: message.page_size, token: &message.page_token, faults };
    let Read { engine, page, token } = reading.run(services, query, page).await?;
    Ok(v1::SearchResponse {
        entries: page.found.iter().map(|entry| audit_wire::entry(entry, engine.directory())).collect(),
        next_page_token: token,
        searched: Some(audit_wire::searched(&page)),
    })
}

/// `AuditService/WhoLooked`.
pub(super) async fn who_looked(
    services: &Services,
    request: Request<v1::WhoLookedRequest>,
) -> Result<v1::WhoLookedResponse, Status> {
    let reading = Reading::begin(services, &request, Method::WhoLooked).await?;
    let message = request.into_inner();
    let mut faults = Faults::default();
    let query = audit::who_looked(&mut faults, &message);
    let page = Page { size: message.page_size, token: &message.page_token, faults };
    let Read { engine, page, token } = reading.run(services, query, page).await?;
    Ok(v1::WhoLookedResponse {
        looks: page.found.iter().map(|seen| audit_wire::look(seen, page.own_people_only, engine.directory())).collect(),
        next_page_token: token,
        searched: Some(audit_wire::searched(&page)),
    })
}
