//! Turns the rows of the three directory files into organisations, sites and authorities.
//! Never accepts a code twice or a reference to a code that is not there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::Time;
use ring::digest::{Context, SHA256};

use super::table::{self, Row};
use super::{Authority, Directory, Organisation, Site, is_phone};
use crate::config;
use crate::identity::is_organisation_code;
use crate::mistakes::Mistakes;

const ORGANISATION_COLUMNS: [&str; 4] = ["ods_code", "name", "contact_phone", "successor_code"];
const SITE_COLUMNS: [&str; 3] = ["ods_site_code", "name", "organisation_code"];
const AUTHORITY_COLUMNS: [&str; 6] =
    ["gss_code", "name", "office_phone", "out_of_hours_phone", "office_opens", "office_closes"];

/// What the columns must hold, as a person is told.
pub(super) const CODE: &str = "an ODS code: 3 to 9 capitals and digits";
const SITE_CODE: &str = "an ODS site code: 5 to 9 capitals and digits";
const GSS_CODE: &str = "a GSS code: E and 8 digits";
pub(super) const NAME: &str = "a name";
const PHONE: &str = "a telephone number";
const TIME: &str = "a time HH:MM";

pub(super) fn load(files: &config::Directory, mistakes: &mut Mistakes) -> Directory {
    let mut hash = Context::new(&SHA256);
    let mut organisations = Collected::new();
    for row in table::read(&files.organisations, &ORGANISATION_COLUMNS, &mut hash, mistakes) {
        let organisation = organisation(&row, mistakes);
        organisations.keep(&row, organisation, |o| &o.code, mistakes);
    }
    let mut sites = Collected::new();
    for row in table::read(&files.sites, &SITE_COLUMNS, &mut hash, mistakes) {
        let site = site(&row, mistakes);
        sites.keep(&row, site, |s| &s.code, mistakes);
    }
    let mut authorities = Collected::new();
    for row in table::read(&files.authorities, &AUTHORITY_COLUMNS, &mut hash, mistakes) {
        let authority = authority(&row, mistakes);
        authorities.keep(&row, authority, |a| &a.code, mistakes);
    }
    check_successors(&organisations, mistakes);
    check_sites(&sites, &organisations, mistakes);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Directory {
        organisations: organisations.into_values(),
        sites: sites.into_values(),
        authorities: authorities.into_values(),
        sha256,
    }
}

/// Rows by code, each with where it stood, so that references can be checked once all are read.
struct Collected<T>(BTreeMap<String, (Row, T)>);

impl<T> Collected<T> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn keep(&mut self, row: &Row, value: Option<T>, code: impl Fn(&T) -> &String, mistakes: &mut Mistakes) {
        let Some(value) = value else { return };
        match self.0.entry(code(&value).clone()) {
            Entry::Vacant(entry) => {
                entry.insert((row.clone(), value));
            }
            Entry::Occupied(entry) => row.note(0, format!("{:?} stands twice", entry.key()), mistakes),
        }
    }

    fn get(&self, code: &str) -> Option<&T> {
        self.0.get(code).map(|(_, value)| value)
    }

    fn into_values(self) -> BTreeMap<String, T> {
        self.0.into_iter().map(|(code, (_, value))| (code, value)).collect()
    }
}

fn organisation(row: &Row, mistakes: &mut Mistakes) -> Option<Organisation> {
    let code = row.take(0, CODE, is_organisation_code, mistakes);
    let name = row.take(1, NAME, is_name, mistakes);
    let contact_phone = row.take(2, PHONE, is_phone, mistakes);
    let successor = row.take(3, CODE, |cell| cell.is_empty() || is_organisation_code(cell), mistakes);
    Some(Organisation {
        code: code?,
        name: name?,
        contact_phone: contact_phone?,
        successor: successor.filter(|code| !code.is_empty()),
    })
}

fn site(row: &Row, mistakes: &mut Mistakes) -> Option<Site> {
    let code = row.take(0, SITE_CODE, |cell| cell.len() >= 5 && is_organisation_code(cell), mistakes);
    let name = row.take(1, NAME, is_name, mistakes);
    let organisation = row.take(2, CODE, is_organisation_code, mistakes);
    Some(Site { code: code?, name: name?, organisation: organisation? })
}

fn authority(row: &Row, mistakes: &mut Mistakes) -> Option<Authority> {
    let code = row.take(0, GSS_CODE, is_gss_code, mistakes);
    let name = row.take(1, NAME, is_name, mistakes);
    let office_phone = row.take(2, PHONE, is_phone, mistakes);
    let out_of_hours_phone = row.take(3, PHONE, is_phone, mistakes);
    let opens = row.take(4, TIME, |cell| time(cell).is_some(), mistakes);
    let closes = row.take(5, TIME, |cell| time(cell).is_some(), mistakes);
    let (office_opens, office_closes) = (time(&opens?)?, time(&closes?)?);
    if office_opens >= office_closes {
        row.note(5, "expected a time after office_opens", mistakes);
    }
    Some(Authority {
        code: code?,
        name: name?,
        office_phone: office_phone?,
        out_of_hours_phone: out_of_hours_phone?,
        office_opens,
        office_closes,
    })
}

pub(super) fn is_name(cell: &str) -> bool {
    !cell.is_empty()
}

fn is_gss_code(cell: &str) -> bool {
    cell.len() == 9 && cell.strip_prefix('E').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads HH:MM and nothing else.
fn time(cell: &str) -> Option<Time> {
    let (hours, minutes) = cell.split_once(':')?;
    let two_digits = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten()
    };
    Time::new(two_digits(hours)?, two_digits(minutes)?, 0, 0).ok()
}

fn check_successors(organisations: &Collected<Organisation>, mistakes: &mut Mistakes) {
    for (row, organisation) in organisations.0.values() {
        let mut next = organisation.successor.as_deref();
        let mut steps = 0;
        while let Some(code) = next {
            steps += 1;
            if code == organisation.code || steps > organisations.0.len() {
                row.note(3, "successors go round in a circle", mistakes);
                break;
            }
            let Some(successor) = organisations.get(code) else {
                if steps == 1 {
                    row.note(3, format!("expected an ods_code of this file, found {code:?}"), mistakes);
                }
                break;
            };
            next = successor.successor.as_deref();
        }
    }
}

fn check_sites(sites: &Collected<Site>, organisations: &Collected<Organisation>, mistakes: &mut Mistakes) {
    for (row, site) in sites.0.values() {
        if organisations.get(&site.organisation).is_none() {
            row.note(2, format!("expected a code of the organisations file, found {:?}", site.organisation), mistakes);
        }
    }
}
