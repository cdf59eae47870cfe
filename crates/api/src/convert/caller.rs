//! Who asks.

use super::fault::{At, Faults};
use crate::v1;
use kith_domain::caller::{Caller, CareContext, Purpose};
use kith_domain::codes::OdsCode;
use kith_domain::text::{PersonText, RoleCode, UserId};
use std::fmt::Display;

/// The named person behind a request.
pub fn parse(faults: &mut Faults, field: impl Display + Copy, caller: Option<v1::Caller>) -> Option<Caller> {
    let v1::Caller { user_id, user_name, user_role, purpose, organisation, role_code } = faults.need(field, caller)?;
    let path = |name| At(field, name);
    let user_id = faults.take(path("user_id"), "BAD_TEXT", UserId::parse(&user_id));
    let user_name = faults.take(path("user_name"), "BAD_TEXT", PersonText::parse(&user_name));
    let user_role = faults.take(path("user_role"), "BAD_TEXT", PersonText::parse(&user_role));
    let purpose = parse_purpose(faults, path("purpose"), purpose);
    let organisation = faults.take(path("organisation"), "BAD_CODE", OdsCode::parse(&organisation));
    let role_code = faults.take(path("role_code"), "BAD_ROLE_CODE", RoleCode::parse(&role_code));
    Some(Caller {
        user_id: user_id?,
        user_name: user_name?,
        user_role: user_role?,
        purpose: purpose?,
        organisation: organisation?,
        role_code: role_code?,
    })
}

fn parse_purpose(faults: &mut Faults, field: impl Display, purpose: i32) -> Option<Purpose> {
    match v1::Purpose::try_from(purpose) {
        Ok(v1::Purpose::DirectCare) => Some(Purpose::DirectCare),
        Ok(v1::Purpose::ChildProtectionEnquiry) => Some(Purpose::ChildProtectionEnquiry),
        Ok(v1::Purpose::SafeguardingReview) => Some(Purpose::SafeguardingReview),
        Ok(v1::Purpose::RecordKeeping) => Some(Purpose::RecordKeeping),
        Ok(v1::Purpose::Unspecified) | Err(_) => {
            faults.add(field, "UNKNOWN_PURPOSE", "a purpose of the list is needed");
            None
        }
    }
}

/// Planned or unplanned care; absent is unscheduled, an unknown value is a fault.
pub(super) fn care_context(faults: &mut Faults, field: impl Display, context: i32) -> Option<CareContext> {
    match v1::CareContext::try_from(context) {
        Ok(v1::CareContext::Unspecified | v1::CareContext::Unscheduled) => Some(CareContext::Unscheduled),
        Ok(v1::CareContext::Scheduled) => Some(CareContext::Scheduled),
        Err(_) => {
            faults.add(field, "UNKNOWN_CARE_CONTEXT", "scheduled or unscheduled is needed");
            None
        }
    }
}
