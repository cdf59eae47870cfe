//! The real organisations that the synthetic people meet: trusts, hospital sites, local authorities, and where they are.
//! Never holds a person, and never a real telephone number.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::SynthError;

const TRUSTS: &str = include_str!("../data/trusts.csv");
const SITES: &str = include_str!("../data/hospital_sites.csv");
const AUTHORITIES: &str = include_str!("../data/local_authorities.csv");
const DISTRICTS: &str = include_str!("../data/districts.csv");
const POSITIONS: &str = include_str!("../data/positions.csv");

/// A point in ten-thousandths of a degree.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) north: i64,
    pub(crate) east: i64,
}

/// An NHS trust with a major emergency department.
pub(crate) struct Trust {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) attendances: u64,
    /// Every place the trust works from; at least one.
    pub(crate) points: Vec<Point>,
    /// Sites (places in `Reference::sites`) where children present; at least one.
    pub(crate) emergency_sites: Vec<u16>,
}

/// A hospital site.
pub(crate) struct Site {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) trust: u16,
}

/// A local authority with children's services.
pub(crate) struct Authority {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// All of them, in the order of the data files.
pub(crate) struct Reference {
    pub(crate) trusts: Vec<Trust>,
    pub(crate) sites: Vec<Site>,
    pub(crate) authorities: Vec<Authority>,
}

#[derive(Deserialize)]
struct TrustRow {
    ods_code: String,
    name: String,
    type1_attendances_2018_19: u64,
}

#[derive(Deserialize)]
struct SiteRow {
    ods_site_code: String,
    name: String,
    trust_ods_code: String,
    district_gss_code: String,
    latitude: String,
    longitude: String,
}

#[derive(Deserialize)]
struct AuthorityRow {
    gss_code: String,
    name: String,
}

#[derive(Deserialize)]
struct DistrictRow {
    first: String,
    last: String,
    authority: String,
}

#[derive(Deserialize)]
struct PositionRow {
    code: String,
    latitude: String,
    longitude: String,
}

impl Reference {
    /// Reads the compiled-in data.
    pub(crate) fn load() -> Result<Self, SynthError> {
        let trusts = rows::<TrustRow>("trusts.csv", TRUSTS)?.into_iter().map(|row| Trust {
            code: row.ods_code,
            name: row.name,
            attendances: row.type1_attendances_2018_19,
            points: Vec::new(),
            emergency_sites: Vec::new(),
        });
        let authorities = rows::<AuthorityRow>("local_authorities.csv", AUTHORITIES)?;
        let authorities =
            authorities.into_iter().map(|row| Authority { code: row.gss_code, name: row.name, points: Vec::new() });
        let mut reference = Self { trusts: trusts.collect(), sites: Vec::new(), authorities: authorities.collect() };
        reference.place_sites()?;
        reference.place_the_rest()?;
        reference.check()?;
        Ok(reference)
    }

    fn place_sites(&mut self) -> Result<(), SynthError> {
        let districts = rows::<DistrictRow>("districts.csv", DISTRICTS)?;
        let trust_places = places(self.trusts.iter().map(|trust| trust.code.as_str()));
        let authority_places = places(self.authorities.iter().map(|authority| authority.code.as_str()));
        for row in rows::<SiteRow>("hospital_sites.csv", SITES)? {
            let Some(trust) = trust_places.get(&row.trust_ods_code).copied() else { continue };
            let point = Point { north: decimal(&row.latitude)?, east: decimal(&row.longitude)? };
            let holds =
                |range: &&DistrictRow| range.first <= row.district_gss_code && row.district_gss_code <= range.last;
            let district = districts.iter().find(holds).map_or(&row.district_gss_code, |range| &range.authority);
            if let Some(authority) = authority_places.get(district) {
                self.authorities[usize::from(*authority)].points.push(point);
            }
            self.trusts[usize::from(trust)].points.push(point);
            self.sites.push(Site { code: row.ods_site_code, name: row.name, trust });
        }
        Ok(())
    }

    /// Invents a site for each trust without one and gives positions to whoever has none yet.
    fn place_the_rest(&mut self) -> Result<(), SynthError> {
        let mut positions = BTreeMap::new();
        for row in rows::<PositionRow>("positions.csv", POSITIONS)? {
            positions.insert(row.code, Point { north: decimal(&row.latitude)?, east: decimal(&row.longitude)? });
        }
        for authority in self.authorities.iter_mut().filter(|authority| authority.points.is_empty()) {
            authority.points.extend(positions.get(&authority.code));
        }
        for (place, trust) in self.trusts.iter_mut().enumerate() {
            if trust.points.is_empty() {
                trust.points.extend(positions.get(&trust.code));
                let (code, name) = (format!("{}01", trust.code), trust.name.clone());
                self.sites.push(Site { code, name, trust: place as u16 });
            }
            let own = |wanted: fn(&Site) -> bool| {
                let mine =
                    self.sites.iter().enumerate().filter(|(_, site)| usize::from(site.trust) == place && wanted(site));
                mine.map(|(index, _)| index as u16).collect::<Vec<_>>()
            };
            trust.emergency_sites = own(is_hospital);
            if trust.emergency_sites.is_empty() {
                trust.emergency_sites = own(|_| true);
            }
        }
        Ok(())
    }

    /// The compiled-in data must leave nobody without a position or a site.
    fn check(&self) -> Result<(), SynthError> {
        let trusts = self.trusts.iter().filter(|trust| trust.points.is_empty() || trust.emergency_sites.is_empty());
        let authorities = self.authorities.iter().filter(|authority| authority.points.is_empty());
        let lost = trusts.map(|trust| &trust.code).chain(authorities.map(|authority| &authority.code)).next();
        match lost {
            Some(code) => {
                Err(SynthError::Reference { file: "positions.csv", detail: format!("no position for {code}") })
            }
            None => Ok(()),
        }
    }
}

/// A place with an emergency department by its name, as against a clinic or a community team.
fn is_hospital(site: &Site) -> bool {
    let name = site.name.to_ascii_lowercase();
    name.contains("hospital") || name.contains("infirmary")
}

fn places<'a>(codes: impl Iterator<Item = &'a str>) -> BTreeMap<String, u16> {
    codes.enumerate().map(|(place, code)| (code.to_owned(), place as u16)).collect()
}

fn rows<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<Vec<T>, SynthError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize().collect::<Result<Vec<T>, _>>();
    rows.map_err(|error| SynthError::Reference { file, detail: error.to_string() })
}

/// Reads a decimal degree as whole ten-thousandths, cutting off what is finer.
fn decimal(text: &str) -> Result<i64, SynthError> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (units, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let decimals = decimals.get(..4).unwrap_or(decimals);
    let parsed = format!("{units}{decimals:0<4}").parse::<i64>();
    let detail = format!("expected a position in decimal degrees, found {text:?}");
    parsed.map(|value| sign * value).map_err(|_| SynthError::Reference { file: "hospital_sites.csv", detail })
}

#[cfg(test)]
mod tests {
    use super::{Reference, decimal};

    #[test]
    fn every_trust_site_and_authority_is_loaded_and_placed() {
        let reference = Reference::load().unwrap();
        assert_eq!((reference.trusts.len(), reference.authorities.len()), (137, 153));
        assert_eq!(reference.sites.len(), 258 + 20);
        assert!(reference.sites.iter().all(|site| site.code.len() == 5));
    }

    #[test]
    fn positions_are_cut_not_rounded() {
        assert_eq!(decimal("50.78645763").unwrap(), 507_864);
        assert_eq!(decimal("-0.1").unwrap(), -1_000);
        assert!(decimal("north").is_err());
    }
}
