//! Who is known: organisations, sites and authorities with their numbers to ring. Loaded from configuration elsewhere.

use crate::caller::Role;
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::time::{Day, Moment};
use std::collections::{BTreeMap, BTreeSet};

/// A local authority's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityEntry {
    /// Name.
    pub name: String,
    /// Office-hours number.
    pub office_phone: String,
    /// Emergency duty team's number.
    pub out_of_hours_phone: String,
    /// Office opens, minutes after London midnight.
    pub opens_minute: u16,
    /// Office closes, minutes after London midnight.
    pub closes_minute: u16,
}

/// A calling organisation's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationEntry {
    /// Name.
    pub name: String,
    /// The organisation's own safeguarding contact.
    pub contact_phone: String,
    /// The code that follows this one after a merger of hospitals.
    pub successor: Option<OdsCode>,
}

/// A hospital site's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteEntry {
    /// Name.
    pub name: String,
    /// The organisation that runs it.
    pub organisation: OdsCode,
}

/// Everyone known, and the national contact for shielded children.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Authorities.
    pub authorities: BTreeMap<LaCode, AuthorityEntry>,
    /// Calling organisations.
    pub organisations: BTreeMap<OdsCode, OrganisationEntry>,
    /// Sites.
    pub sites: BTreeMap<SiteCode, SiteEntry>,
    /// Bank holidays, when offices are closed.
    pub bank_holidays: BTreeSet<Day>,
    /// Name of the national contact.
    pub national_name: String,
    /// Number of the national contact.
    pub national_phone: String,
}

/// Which organisations run, check or witness the service, or tell and find for all of it, and in which roles. They stand among no
/// hospitals and authorities; whoever is not listed does nothing in such a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRoles(BTreeMap<OdsCode, Vec<Role>>);

impl ServiceRoles {
    /// The roles that are listed here. Whoever has another stands in the [`Directory`].
    pub const ROLES: [Role; 5] = [Role::Demographics, Role::Broker, Role::Auditor, Role::Ops, Role::Witness];

    /// The list of these organisations, each with its roles.
    #[must_use]
    pub fn new(listed: BTreeMap<OdsCode, Vec<Role>>) -> Self {
        Self(listed)
    }

    /// Whether an organisation may call in a role.
    #[must_use]
    pub fn list(&self, organisation: OdsCode, role: Role) -> bool {
        self.0.get(&organisation).is_some_and(|roles| roles.contains(&role))
    }
}

/// A number to ring, and why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// GSS or ODS code; empty for the national contact.
    pub code: String,
    /// Whose number it is.
    pub name: String,
    /// The number.
    pub phone: String,
    /// Why this one.
    pub why: String,
}

impl Directory {
    /// The number of an authority that works at `now`.
    #[must_use]
    pub fn authority_contact(&self, code: LaCode, now: Moment, because: &str) -> Contact {
        let Some(entry) = self.authorities.get(&code) else {
            return self.national_contact("the responsible authority is not in the directory");
        };
        let day = now.london_day();
        let minute = now.london_minute();
        let holiday = self.bank_holidays.contains(&day);
        let office = day.is_weekday() && !holiday && (entry.opens_minute..entry.closes_minute).contains(&minute);
        let (phone, hours) = match (office, holiday) {
            (true, _) => (&entry.office_phone, "office hours"),
            (false, true) => (&entry.out_of_hours_phone, "bank holiday: emergency duty team"),
            (false, false) => (&entry.out_of_hours_phone, "out of hours: emergency duty team"),
        };
        Contact {
            code: code.as_str().to_owned(),
            name: entry.name.clone(),
            phone: phone.clone(),
            why: [because, "; ", hours].concat(),
        }
    }

    /// The asking organisation's own safeguarding contact; the national one when it has none.
    #[must_use]
    pub fn own_contact(&self, code: OdsCode, because: &str) -> Contact {
        match self.organisations.get(&code) {
            Some(entry) if !entry.contact_phone.is_empty() => Contact {
                code: code.as_str().to_owned(),
                name: [&entry.name, ", safeguarding contact"].concat(),
                phone: entry.contact_phone.clone(),
                why: because.to_owned(),
            },
            Some(_) | None => self.national_contact(because),
        }
    }

    /// The national contact, which tells no place.
    #[must_use]
    pub fn national_contact(&self, because: &str) -> Contact {
        Contact {
            code: String::new(),
            name: self.national_name.clone(),
            phone: self.national_phone.clone(),
            why: because.to_owned(),
        }
    }

    /// Name of an organisation, or its code when it is not known any more.
    #[must_use]
    pub fn organisation_name(&self, code: OdsCode) -> String {
        self.organisations.get(&code).map_or_else(|| code.as_str().to_owned(), |entry| entry.name.clone())
    }

    /// Name of an authority, or its code when it is not known any more.
    #[must_use]
    pub fn authority_name(&self, code: LaCode) -> String {
        self.authorities.get(&code).map_or_else(|| code.as_str().to_owned(), |entry| entry.name.clone())
    }

    /// Name of a site, or its code when it is not known any more.
    #[must_use]
    pub fn site_name(&self, code: SiteCode) -> String {
        self.sites.get(&code).map_or_else(|| code.as_str().to_owned(), |entry| entry.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn the_number_follows_the_moment() {
        let code = LaCode::parse("E06000001").unwrap();
        let entry = AuthorityEntry {
            name: "Hartlepool".into(),
            office_phone: "01632 960001".into(),
            out_of_hours_phone: "01632 960002".into(),
            opens_minute: 9 * 60,
            closes_minute: 17 * 60,
        };
        let directory = Directory {
            authorities: BTreeMap::from([(code, entry)]),
            bank_holidays: BTreeSet::from([Day::new(2026, 12, 25).unwrap()]),
            national_phone: "020 7946 0000".into(),
            ..Directory::default()
        };
        let phone = |text| directory.authority_contact(code, moment(text), "plan").phone;
        assert_eq!(phone("2026-07-01T08:30:00Z"), "01632 960001", "09:30 in London in summer");
        assert_eq!(phone("2026-07-01T16:30:00Z"), "01632 960002", "17:30 in London");
        assert_eq!(phone("2026-11-21T12:00:00Z"), "01632 960002", "a Saturday");
        assert_eq!(phone("2026-12-25T12:00:00Z"), "01632 960002", "a bank holiday on a Friday");
        let unknown =
            directory.authority_contact(LaCode::parse("E06000999").unwrap(), moment("2026-07-01T08:30:00Z"), "x");
        assert_eq!(unknown.phone, "020 7946 0000");
    }
}
