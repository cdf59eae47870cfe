//! From the configuration's and the directory files' types to the domain's. Both sides are checked already; what still
//! does not fit is reported, never replaced.

use std::collections::BTreeMap;
use std::error::Error;

use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry, SiteEntry};
use kith_domain::feed_volume::ThinRule;
use kith_domain::settings::AnswerSettings;
use kith_domain::time::Day;

use crate::config::{Answers, Config, Feeds};
use crate::directory;

type Failure = Box<dyn Error + Send + Sync>;

/// Settings of answers.
pub(crate) fn settings(answers: &Answers, feeds: &Feeds) -> Result<AnswerSettings, Failure> {
    Ok(AnswerSettings {
        presentation_window_days: i32::try_from(answers.presentation_window_days)?,
        presentation_retention_days: i32::try_from(answers.presentation_retention_days)?,
        plan_retention_months: i32::try_from(answers.plan_retention_months)?,
        max_presentations: answers.max_presentations,
        sibling_injury_days: i32::try_from(answers.sibling_injury_days)?,
        cannot_say_percent: feeds.cannot_say_percent,
        ..AnswerSettings::default()
    })
}

/// When a feed is thin.
pub(crate) fn thin(feeds: &Feeds) -> ThinRule {
    ThinRule {
        percent: feeds.thin_percent,
        window_hours: feeds.thin_window_hours,
        min_expected: feeds.thin_min_expected,
    }
}

fn minute(time: jiff::civil::Time) -> Result<u16, Failure> {
    Ok(u16::try_from(time.hour())? * 60 + u16::try_from(time.minute())?)
}

/// Everyone known.
pub(crate) fn directory(files: &directory::Directory, config: &Config) -> Result<Directory, Failure> {
    let mut authorities = BTreeMap::new();
    for authority in files.authorities() {
        let entry = AuthorityEntry {
            name: authority.name.clone(),
            office_phone: authority.office_phone.clone(),
            out_of_hours_phone: authority.out_of_hours_phone.clone(),
            opens_minute: minute(authority.office_opens)?,
            closes_minute: minute(authority.office_closes)?,
        };
        authorities.insert(LaCode::parse(&authority.code)?, entry);
    }
    let mut organisations = BTreeMap::new();
    for organisation in files.organisations() {
        let entry = OrganisationEntry {
            name: organisation.name.clone(),
            contact_phone: organisation.contact_phone.clone(),
            successor: organisation.successor.as_deref().map(OdsCode::parse).transpose()?,
        };
        organisations.insert(OdsCode::parse(&organisation.code)?, entry);
    }
    let mut sites = BTreeMap::new();
    for site in files.sites() {
        let entry = SiteEntry { name: site.name.clone(), organisation: OdsCode::parse(&site.organisation)? };
        sites.insert(SiteCode::parse(&site.code)?, entry);
    }
    let holiday =
        |day: &crate::config::Day| Day::new(i32::from(day.0.year()), i32::from(day.0.month()), i32::from(day.0.day()));
    Ok(Directory {
        authorities,
        organisations,
        sites,
        bank_holidays: config.directory.bank_holidays.iter().map(holiday).collect::<Result<_, _>>()?,
        national_name: config.answers.national_contact_name.clone(),
        national_phone: config.answers.national_contact_phone.clone(),
    })
}
