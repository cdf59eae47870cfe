//! Notifications on the wire. A shielded child's tells no place and no person.

use super::{subject, time};
use crate::v1;
use kith_domain::directory::Directory;
use kith_domain::notify::{Cause, Notification};

/// One notification on the wire.
#[must_use]
pub fn wire(id: u64, notification: &Notification, directory: &Directory) -> v1::Notification {
    let Notification { subject, at, cause, shielded, acknowledged } = notification;
    let (kind, organisation, user_name, user_role) = match cause {
        Cause::Lookup(organisation, name, role) => {
            (v1::NotificationCause::Lookup, organisation, name.as_str(), role.as_str())
        }
        Cause::Presentation(organisation) => (v1::NotificationCause::Presentation, organisation, "", ""),
    };
    let told = |text: String| if *shielded { String::new() } else { text };
    v1::Notification {
        id,
        subject: Some(subject::wire(subject)),
        at: Some(time::timestamp(*at)),
        cause: kind.into(),
        organisation: told(organisation.to_string()),
        organisation_name: told(directory.organisation_name(*organisation)),
        user_name: told(user_name.to_owned()),
        user_role: told(user_role.to_owned()),
        shielded: *shielded,
        acknowledged: *acknowledged,
    }
}
