//! People to ask about: from a directory that `kith-synth` wrote, and numbers that nothing is held of. Never an issued NHS
//! number: those of a synthetic England and of the fixtures' range begin with 9.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use kith_domain::NhsNumber;
use kith_domain::time::Day;

use crate::dice::Dice;
use crate::truth::{self, Case};

/// People read of an England at most.
pub const PEOPLE: usize = 200_000;
/// Days of attendances that are used: well within the year for which they are kept.
const RECENT_DAYS: i32 = 350;
/// Largest truth file read, in bytes.
const MAX_TRUTH_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes read at each place of a file: a few rows.
const AT_A_PLACE: usize = 1_024;
/// First nine digits of the lowest number of the fixtures' range.
const FIXTURES: u64 = 999_000_000;

/// Parts of the fixtures' range, so that what one kind writes is not what another expects to be absent. Each has so many
/// stems, of which ten of eleven give a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing is ever written about them.
    Misses,
    /// Check-ins.
    CheckIns,
    /// Plan events.
    PlanEvents,
    /// Rows of plan files.
    PlanFiles,
}

impl Part {
    const fn range(self) -> (u64, u64) {
        match self {
            Self::Misses => (500_000, 400_000),
            Self::CheckIns => (0, 200_000),
            Self::PlanEvents => (200_000, 200_000),
            Self::PlanFiles => (400_000, 100_000),
        }
    }

    /// One number of it, the same for the same place.
    #[must_use]
    pub fn number(self, place: u64) -> u64 {
        let (first, stems) = self.range();
        let mut stem = place % stems;
        loop {
            if let Some(number) = NhsNumber::from_first_nine((FIXTURES + first + stem) as u32) {
                return number.value();
            }
            stem = (stem + 1) % stems;
        }
    }

    /// Any number of it.
    pub fn draw(self, dice: &mut Dice) -> u64 {
        self.number(dice.bits() >> 8)
    }
}

/// A person of whom something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The NHS number.
    pub number: u64,
    /// Birth date, where the sender knows it.
    pub born: Option<Day>,
    /// An active plan is held.
    pub on_plan: bool,
    /// A presentation is held.
    pub seen: bool,
}

/// What a run asks about.
#[derive(Default)]
pub struct England {
    /// People of whom something is held.
    pub known: Vec<Known>,
    /// Questions of the truth file.
    pub cases: Vec<Case>,
    /// A site of each organisation.
    pub sites: BTreeMap<String, String>,
}

impl England {
    /// Reads `dir`, at most about so many people: of each sender's file rows at equal distances, so that all of what is held
    /// is asked about, however much it is. The same files give the same people.
    ///
    /// # Errors
    /// A file that is not there or not as `kith-synth` writes it.
    pub fn load(dir: &Path, today: Day, people: usize) -> Result<Self> {
        let mut england = Self { cases: cases(&dir.join("truth.jsonl"))?, ..Self::default() };
        england.sites = sites(&dir.join("directory/sites.csv"))?;
        let (plans, visits) = (files(&dir.join("plans"))?, files(&dir.join("presentations"))?);
        for (paths, kind) in [(&plans, Sender::Authority), (&visits, Sender::Trust)] {
            let quota = (people / 2).div_ceil(paths.len().max(1));
            for path in paths {
                known(path, kind, today, quota, &mut england.known)
                    .with_context(|| format!("failed to read {}", path.display()))?;
            }
        }
        ensure!(
            !england.known.is_empty() && !england.cases.is_empty(),
            "{} holds nobody seen in the last {RECENT_DAYS} days: write it anew with kith-synth",
            dir.display()
        );
        Ok(england)
    }
}

fn cases(path: &Path) -> Result<Vec<Case>> {
    let length = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?.len();
    ensure!(length <= MAX_TRUTH_BYTES, "{} is larger than {MAX_TRUTH_BYTES} bytes", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let each = text.lines().enumerate();
    each.map(|(at, line)| truth::read(line).with_context(|| format!("{} line {}", path.display(), at + 1))).collect()
}

fn sites(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let mut found = BTreeMap::new();
    for line in text.lines().skip(1) {
        // The name in the middle may hold commas.
        let (site, organisation) = (line.split(',').next(), line.rsplit(',').next());
        if let (Some(site), Some(organisation)) = (site, organisation) {
            found.entry(organisation.to_owned()).or_insert_with(|| site.to_owned());
        }
    }
    Ok(found)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = listed.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

#[derive(Clone, Copy)]
enum Sender {
    Authority,
    Trust,
}

/// Adds people from one file, up to a quota: of as many places at equal distances the first that counts, nobody's row twice.
fn known(path: &Path, sender: Sender, today: Day, quota: usize, into: &mut Vec<Known>) -> Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut rows = Rows { lines: BufReader::with_capacity(AT_A_PLACE, file), sender, today, at: 0 };
    let skipped = match sender {
        Sender::Authority => 2,
        Sender::Trust => 1,
    };
    for _ in 0..skipped {
        rows.line()?.context("it has no header")?;
    }
    let (first, quota) = (rows.at, quota as u64);
    let place = |number: u64| first + (u128::from(length - first) * u128::from(number) / u128::from(quota)) as u64;
    for number in 0..quota {
        rows.go_to(place(number))?;
        // Where nobody counts until the next place, that one is no further.
        if let Some(person) = rows.next_until(place(number + 1))? {
            into.push(person);
        }
    }
    Ok(())
}

/// A file, read at places that only go forwards.
struct Rows {
    lines: BufReader<File>,
    sender: Sender,
    today: Day,
    /// Where the next row begins.
    at: u64,
}

impl Rows {
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line)?;
        self.at += length as u64;
        Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The beginning of a row at this place or after it; never back.
    fn go_to(&mut self, place: u64) -> Result<()> {
        if place > self.at {
            // From the byte before: a place may be the beginning of a row.
            let by = i64::try_from(place - 1 - self.at).context("a file too long")?;
            self.lines.seek_relative(by)?;
            let mut rest = Vec::new();
            self.at = place - 1 + self.lines.read_until(b'\n', &mut rest)? as u64;
        }
        Ok(())
    }

    /// The first person that counts in rows that begin before `end`.
    fn next_until(&mut self, end: u64) -> Result<Option<Known>> {
        let columns = match self.sender {
            Sender::Authority => 8,
            Sender::Trust => 10,
        };
        let mut pending: Option<(String, Option<Known>)> = None;
        loop {
            // An encounter's later rows follow its first: the last of them says whether it counts.
            let before = self.at;
            let line = if before < end || pending.is_some() { self.line()? } else { None };
            let Some(line) = line else { return Ok(pending.and_then(|(_, person)| person)) };
            let cells: Vec<&str> = line.split(',').collect();
            ensure!(cells.len() == columns, "expected {columns} cells, found {}", cells.len());
            match self.sender {
                Sender::Authority => {
                    if let Some(person) = on_plan(&cells, self.today)? {
                        return Ok(Some(person));
                    }
                }
                Sender::Trust => {
                    let same = pending.as_ref().is_none_or(|(encounter, _)| encounter == cells[1]);
                    if !same {
                        let person = pending.take().and_then(|(_, person)| person);
                        if person.is_some() || before >= end {
                            self.back_to(before)?;
                            return Ok(person);
                        }
                    }
                    pending = Some((cells[1].to_owned(), seen(&cells, self.today)?));
                }
            }
        }
    }

    fn back_to(&mut self, place: u64) -> Result<()> {
        self.lines.seek(SeekFrom::Start(place))?;
        self.at = place;
        Ok(())
    }
}

fn number(cell: &str) -> Result<u64> {
    let number = NhsNumber::parse(cell).ok().context("a number that is none")?.value();
    if number < 9_000_000_000 {
        bail!("a number of the issued ranges: use a synthetic England");
    }
    Ok(number)
}

/// A row of a plan that is in force, if it is one.
fn on_plan(cells: &[&str], today: Day) -> Result<Option<Known>> {
    let [digits, born, _, start, end, _, _, remark] = cells else { bail!("expected eight cells") };
    let started = day(start).is_some_and(|start| start < today);
    if !(end.is_empty() && started && matches!(*remark, "" | "shielded")) {
        return Ok(None);
    }
    Ok(Some(Known { number: number(digits)?, born: day(born), on_plan: true, seen: false }))
}

/// A row of an attendance that counts, if it is one.
fn seen(cells: &[&str], today: Day) -> Result<Option<Known>> {
    let [_, _, _, digits, born, arrived, _, _, outcome, _] = cells else { bail!("expected ten cells") };
    let recent = arrived.get(..10).and_then(day).is_some_and(|day| day > today.plus_days(-RECENT_DAYS) && day <= today);
    if *outcome == "entered-in-error" || !recent {
        return Ok(None);
    }
    Ok(Some(Known { number: number(digits)?, born: day(born), on_plan: false, seen: true }))
}

/// A date as YYYY-MM-DD.
#[must_use]
pub fn day(text: &str) -> Option<Day> {
    Day::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Day {
        day("2026-04-01").unwrap()
    }

    fn rows(sender: Sender, text: &str, quota: usize) -> Result<Vec<Known>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut found = Vec::new();
        known(file.path(), sender, today(), quota, &mut found)?;
        Ok(found)
    }

    const PLANS: &str = "kith-plans,1,1,changes\nnhs_number,date_of_birth,plan,start,end,reference,family,remark\n";

    #[test]
    fn only_plans_in_force_are_expected_to_be_held() {
        let text = format!(
            "{PLANS}9990000018,2020-02-29,cpp,2026-01-05,,P1,,\n9990000026,2020-02-29,cpp,2026-01-05,2026-02-05,P2,,\n\
             9990000034,,ucpp,2026-04-05,,P3,,\n9990000042,,cpp,2026-01-05,,P4,,withdrawn\n9990000050,,cpp,2026-01-05,,,,shielded\n"
        );
        let found = rows(Sender::Authority, &text, 10).unwrap();
        let numbers: Vec<u64> = found.iter().map(|known| known.number).collect();
        assert_eq!(numbers, [9_990_000_018, 9_990_000_050]);
        assert_eq!((found[0].born, found[1].born), (day("2020-02-29"), None));
        assert_eq!(rows(Sender::Authority, &text, 1).unwrap().len(), 1);
    }

    #[test]
    fn attendances_entered_in_error_or_old_are_not_expected() {
        let row = |encounter: &str, version, digits: &str, arrived: &str, outcome: &str| {
            format!(
                "S1,{encounter},{version},{digits},2020-01-01,{arrived}T10:00:00+00:00,ambulance,injury,{outcome},\n"
            )
        };
        let text = [
            "site,...\n".to_owned(),
            row("E1", 1, "9990000018", "2026-03-01", "discharged"),
            row("E1", 2, "9990000018", "2026-03-01", "entered-in-error"),
            row("E2", 1, "9990000026", "2026-03-01", "waiting"),
            row("E2", 2, "9990000026", "2026-03-01", "admitted"),
            row("E3", 1, "9990000034", "2025-04-03", "admitted"),
        ];
        let found = rows(Sender::Trust, &text.concat(), 10).unwrap();
        assert_eq!(found.iter().map(|known| known.number).collect::<Vec<_>>(), [9_990_000_026]);
    }

    #[test]
    fn people_come_from_all_of_a_file_and_nobody_twice() {
        let stem = |n: u32| NhsNumber::from_first_nine(999_000_000 + n);
        let numbers: Vec<NhsNumber> = (0..).filter_map(stem).take(1_000).collect();
        let row = |(n, number): (usize, &NhsNumber)| {
            // Some rows are longer than others, some have a second version, and some do not count.
            let site = "S".repeat(1 + n % 7);
            let one = |version: usize, outcome: &str| {
                let digits = number.digits();
                format!(
                    "{site},E{n},{version},{digits},2020-01-01,2026-03-01T10:00:00+00:00,ambulance,injury,{outcome},\n"
                )
            };
            match n % 5 {
                0 => one(1, "waiting") + &one(2, "entered-in-error"),
                1 => one(1, "waiting") + &one(2, "admitted"),
                _ => one(1, "waiting"),
            }
        };
        let text = String::from("site,...\n") + &numbers.iter().enumerate().map(row).collect::<String>();
        let places = |quota| -> Vec<usize> {
            let found = rows(Sender::Trust, &text, quota).unwrap();
            let place = |known: &Known| numbers.iter().position(|number| number.value() == known.number).unwrap();
            found.iter().map(place).collect()
        };
        let some = places(40);
        assert_eq!((some.len(), some.clone()), (40, places(40)), "the same file gives the same people");
        for (part, place) in some.iter().enumerate() {
            assert!(place.abs_diff(part * 25) < 15, "{part} {place}");
            assert!(place % 5 != 0, "entered in error: {place}");
        }
        let all = places(100_000);
        let expected: Vec<usize> = (0..1_000).filter(|place| place % 5 != 0).collect();
        assert_eq!(all, expected, "of a short file everybody, once");
    }

    #[test]
    fn an_issued_number_is_refused() {
        let issued = ["943", "476", "5919"].concat();
        let accepted = rows(Sender::Authority, &format!("{PLANS}{issued},,cpp,2026-01-05,,P1,,\n"), 10);
        assert!(accepted.is_ok(), "the range of the published examples begins with 9");
        let issued = NhsNumber::from_first_nine(400_000_000).or(NhsNumber::from_first_nine(400_000_001)).unwrap();
        let refused = rows(Sender::Authority, &format!("{PLANS}{},,cpp,2026-01-05,,P1,,\n", issued.digits()), 10);
        assert!(refused.unwrap_err().to_string().contains("issued"));
    }

    #[test]
    fn the_parts_of_the_fixtures_range_do_not_meet() {
        let parts = [Part::Misses, Part::CheckIns, Part::PlanEvents, Part::PlanFiles];
        let mut dice = Dice::new(1, 1);
        for part in parts {
            let (first, stems) = part.range();
            for place in [0, 1, stems - 1, stems, u64::MAX, dice.bits()] {
                let number = part.number(place);
                let stem = number / 10 - FIXTURES;
                assert!((first..first + stems).contains(&stem), "{part:?} {number}");
            }
        }
    }
}
