//! The organisations, sites and local authorities that this service knows.
//! Loaded whole or refused whole; never holds anything about a child.

mod load;
pub(crate) mod services;
mod table;

use std::collections::BTreeMap;

use jiff::civil::Time;

use crate::config::Config;
use crate::mistakes::Mistakes;

/// An organisation that may call: a trust, an ambulance service, a walk-in centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// ODS code in capitals.
    pub code: String,
    /// Name as people know it.
    pub name: String,
    /// The telephone number of its own safeguarding contact.
    pub contact_phone: String,
    /// The organisation that it became part of.
    pub successor: Option<String>,
}

/// A site of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// ODS site code in capitals.
    pub code: String,
    /// Name as people know it.
    pub name: String,
    /// ODS code of its organisation.
    pub organisation: String,
}

/// A local authority with children's services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// GSS code, e.g. `E06000001`.
    pub code: String,
    /// Name as people know it.
    pub name: String,
    /// Telephone in office hours.
    pub office_phone: String,
    /// Telephone of the emergency duty team.
    pub out_of_hours_phone: String,
    /// When the office opens, Monday to Friday except bank holidays, Europe/London.
    pub office_opens: Time,
    /// When it closes.
    pub office_closes: Time,
}

/// Everything the directory files hold, by code.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Directory {
    organisations: BTreeMap<String, Organisation>,
    sites: BTreeMap<String, Site>,
    authorities: BTreeMap<String, Authority>,
    sha256: [u8; 32],
}

impl Directory {
    /// Reads the three files that the configuration names.
    ///
    /// # Errors
    /// Every mistake found, each with file, row and column.
    pub fn load(config: &Config) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new();
        let directory = Self::collect(config, &mut mistakes);
        mistakes.into_result().map(|()| directory)
    }

    /// Reads the three files as far as they are usable, and notes every mistake.
    pub fn collect(config: &Config, mistakes: &mut Mistakes) -> Self {
        let directory = load::load(&config.directory, mistakes);
        for code in config.feeds.overrides.keys() {
            if !directory.organisations.contains_key(code) && !directory.authorities.contains_key(code) {
                mistakes.note(format!("feeds.overrides.{code}"), "expected a code of the directory");
            }
        }
        directory
    }

    /// SHA-256 of the three files as they were read: organisations, sites, authorities, each behind its length in eight bytes, the
    /// highest first.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The organisation of this ODS code.
    pub fn organisation(&self, code: &str) -> Option<&Organisation> {
        self.organisations.get(code)
    }

    /// The site of this ODS site code.
    pub fn site(&self, code: &str) -> Option<&Site> {
        self.sites.get(code)
    }

    /// The authority of this GSS code.
    pub fn authority(&self, code: &str) -> Option<&Authority> {
        self.authorities.get(code)
    }

    /// All organisations in the order of their codes.
    pub fn organisations(&self) -> impl ExactSizeIterator<Item = &Organisation> {
        self.organisations.values()
    }

    /// All sites in the order of their codes.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = &Site> {
        self.sites.values()
    }

    /// All authorities in the order of their codes.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = &Authority> {
        self.authorities.values()
    }
}

/// Whether `text` can be dialled: digits, spaces, dashes, brackets, an optional leading plus; at least three digits.
pub fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('+').unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'(' | b')');
    (3..=15).contains(&digits) && text.len() <= 30 && rest.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
