//! Notifications on the wire. A shielded child's tells no place and no person.

use super::{subject, time};
use crate::v1;
use kith_domain::directory::Directory;
use kith_domain::notify::{Cause, Notification};

/// One notification on the wire.
#[must_use]
pub fn wire(id: u64, notification: &Notification, directory: &Directory) -> v1::Notification {
    let Notification { subject, at, cause, shielded, acknowledged } = notification;
    let (kind, user_name, user_role) = match cause {
        Cause::Lookup(_, name, role) => (v1::NotificationCause::Lookup, name.as_str(), role.as_str()),
        Cause::Presentation(_) => (v1::NotificationCause::Presentation, "", ""),
        Cause::NumberReplaced(_) => (v1::NotificationCause::NumberReplaced, "", ""),
        Cause::NumberInvalidated => (v1::NotificationCause::NumberInvalidated, "", ""),
        Cause::NumberReinstated => (v1::NotificationCause::NumberReinstated, "", ""),
    };
    let organisation = cause.organisation();
    let replaced_by = if let Cause::NumberReplaced(number) = cause { number.digits() } else { String::new() };
    let told = |text: String| if *shielded { String::new() } else { text };
    v1::Notification {
        id,
        subject: Some(subject::wire(subject)),
        at: Some(time::timestamp(*at)),
        cause: kind.into(),
        organisation: told(organisation.map(|code| code.to_string()).unwrap_or_default()),
        organisation_name: told(organisation.map(|code| directory.organisation_name(code)).unwrap_or_default()),
        user_name: told(user_name.to_owned()),
        user_role: told(user_role.to_owned()),
        shielded: *shielded,
        acknowledged: *acknowledged,
        replaced_by,
    }
}
