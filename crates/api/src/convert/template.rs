//! The work of writing visits down, done for an answer that lists none: how long an answer takes must not tell one
//! from the other. What is made here is thrown away; nothing is given back, and it names nobody.

use super::answer;
use crate::v1;
use kith_domain::answer::PresentationView;
use kith_domain::child::Access;
use kith_domain::codes::{OdsCode, SiteCode};
use kith_domain::directory::Directory;
use kith_domain::presentation::{CareSetting, Complaint, Outcome};
use kith_domain::text::PersonText;
use kith_domain::time::Moment;
use kith_domain::words;
use prost::Message;
use std::hint::black_box;

/// About as many as an answer that lists any does.
const VISITS: usize = 2;
/// Room for their bytes.
const BYTES: usize = 512;

/// Whether an answer lists neither a plan nor a presentation.
pub(super) fn is_nothing_listed(plans: &v1::PlanAnswer, presentations: &v1::PresentationAnswer) -> bool {
    plans.plans.is_empty()
        && presentations.at_this_organisation.is_empty()
        && presentations.at_other_organisations.is_empty()
        && presentations.shielded_presentations.is_empty()
}

/// Puts visits to no organisation, and who looked them up, into words and bytes; nothing of it leaves.
pub(super) fn work(directory: &Directory, at: Moment) {
    let (Ok(organisation), Ok(site)) = (OdsCode::parse("ZZZZZ"), SiteCode::parse("ZZZZZ00")) else { return };
    let (Ok(user_name), Ok(user_role)) = (PersonText::parse("nobody at all"), PersonText::parse("no role")) else {
        return;
    };
    let details = Some((Some(site), at, CareSetting::EmergencyDepartment, Complaint::NotRecorded));
    let view = PresentationView { organisation: Some(organisation), details, outcome: Outcome::Discharged };
    let row = Access { organisation, user_name, user_role, first_at: at, last_at: at, count: 1 };
    let mut bytes = Vec::with_capacity(BYTES);
    for _ in 0..VISITS {
        let (view, row) = (black_box(&view), black_box(&row));
        black_box(words::open_presentation(view, directory));
        answer::presentation(view, directory).encode_raw(&mut bytes);
        answer::access(row, directory).encode_raw(&mut bytes);
    }
    black_box(bytes);
}
