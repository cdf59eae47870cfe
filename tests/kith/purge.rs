//! What retention has passed is removed for good and changes no answer; a wrong clock removes nothing; memory and disk
//! stay flat. In process, with a clock that is an argument; it never starts a server.

mod beside;
mod flat;
mod gone;
mod guards;

use kith_domain::NhsNumber;
use kith_domain::answer::{Answer, Question};
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::SiteCode;
use kith_domain::method::Method;
use kith_domain::plan::PlanKind;
use kith_domain::presentation::{CareSetting, Complaint, Details};
use kith_domain::text::{EncounterId, PlanReference};
use kith_domain::time::{Day, Moment};
use kith_engine::{Asked, PurgeError, PurgeReport, Verdict};
use uuid::Uuid;

use crate::harness::wait::until_async;
use crate::model::place::{Place, caller, context_of, sender, trust};

/// When it begins: noon of 2 January 2025.
const BEGIN: Moment = Moment(1_735_819_200_000);

fn after(days: i64) -> Moment {
    BEGIN.plus_seconds(days * 86_400)
}

fn number(n: u32) -> NhsNumber {
    (999_200_000 + 12 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

fn subject(n: u32) -> Subject {
    Subject::Nhs(number(n))
}

/// An event of plan `P<n>` of authority `of`, about person `n`.
fn plan(n: u32, of: usize, version: u64, action: PlanAction, days: (Option<Day>, Option<Day>)) -> Change {
    Change::Plan(PlanEvent {
        authority: crate::model::place::authority(of),
        event_id: Uuid::new_v4(),
        subject: subject(n),
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse(&format!("P{n}")).unwrap()),
        version,
        start: days.0,
        end: days.1,
        birth_date: None,
        shielded: false,
        unshield: false,
        family: None,
        babies: Vec::new(),
    })
}

/// Person `n` was seen by trust `of` at `arrived_at`, under encounter `e`.
fn seen(n: u32, of: usize, e: u64, arrived_at: Moment) -> Change {
    let details = Details {
        site: SiteCode::parse("R0A01").unwrap(),
        arrived_at,
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Fracture,
        birth_date: None,
    };
    Change::Presentation(PresentationEvent {
        organisation: trust(of),
        event_id: Uuid::new_v4(),
        subject: subject(n),
        encounter: EncounterId::parse(&format!("E{e}")).unwrap(),
        version: 1,
        action: PresentationAction::Record(details),
    })
}

async fn send(place: &Place, at: Moment, changes: Vec<Change>) -> Vec<Verdict> {
    place.engine().change(&sender(), at, changes).await
}

async fn taken(place: &Place, at: Moment, changes: Vec<Change>) {
    for verdict in send(place, at, changes).await {
        verdict.expect("taken");
    }
}

fn asked(n: u32, of: usize, now: Moment, worklist: bool) -> Asked {
    Asked {
        peer: Peer { organisation: trust(of), role: Role::Ed },
        caller: caller(trust(of), 1),
        context: context_of(Role::Ed),
        question: Question {
            subject: subject(n),
            number_traced: true,
            birth_date: None,
            checking_in: None,
            now,
            mother: None,
        },
        request_id: Uuid::new_v4(),
        trace: None,
        method: if worklist { Method::LookupMany } else { Method::Lookup },
        person_proven: false,
    }
}

/// Asks without leaving history.
async fn answer(place: &Place, n: u32, now: Moment) -> Answer {
    place.engine().ask(asked(n, 2, now, true)).await.unwrap().answer
}

/// Asks and waits until the history of it is in the log.
async fn look_up(place: &Place, n: u32, of: usize, now: Moment) {
    let found = place.engine().ask(asked(n, of, now, false)).await.unwrap();
    let wanted = found.reference.sequence;
    until_async("history is derived", async || (place.engine().positions().derived_through >= wanted).then_some(()))
        .await;
}

fn purge(place: &Place, now: Moment) -> Result<PurgeReport, PurgeError> {
    tokio::task::block_in_place(|| place.engine().purge(now))
}

fn trim(place: &Place) -> u64 {
    tokio::task::block_in_place(|| place.engine().trim()).unwrap()
}
