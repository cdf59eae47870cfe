//! A synthetic England for tests, demonstrations and load: real trusts and local authorities, invented children.
//! It never describes a person who exists, and it never opens a server's data directory or calls a service.
//!
//! # What it writes
//!
//! [`generate`] fills a directory (the program `kith-synth` is a thin wrapper around it):
//!
//! | path | content |
//! |---|---|
//! | `directory/organisations.csv`, `sites.csv`, `authorities.csv` | the 137 trusts, their sites and the 153 authorities with numbers to ring |
//! | `plans/<GSS code>.csv` | each authority's plans, as the first plan file that `kith plans push` takes |
//! | `presentations/<ODS code>.csv` | each trust's attendances of the year before the as-of day |
//! | `accesses/<ODS code>.csv` | one lookup per attendance: who, in which role, when |
//! | `truth.jsonl` | for sampled people, a question and what its answer must be |
//! | `manifest.json` | the arguments, counts, and the SHA-256 of every other file; written last |
//!
//! # What it holds to
//!
//! At scale 1: 3.5 million attending children with 6.3 million attendances (9.1 % of them four times or more, infants far
//! above the rest), spread over trusts in proportion to their reported attendances; 49,420 active child protection plans,
//! 81,770 looked-after children and a twelve-month tail of ended plans, 230,000 in all, with lengths that average 9.6
//! months; unborn children on their mothers' records, transfers, two authorities at once, withdrawn and future plans,
//! twins, brothers and sisters, and about one shielded plan in 300. Smaller scales keep the proportions, and at least one
//! of each plan history.
//!
//! # The same bytes everywhere
//!
//! Every household has a ChaCha stream of its own, chosen by seed and number; all weights are whole numbers; nothing
//! reads a clock, iterates a hash map or uses floating point. Same seed, scale and as-of date: same bytes.
//!
//! # The truth file
//!
//! One JSON object a line: `scenario`, the question (`nhs_number`, `date_of_birth`, `ask_as` = the asking trust,
//! `number_traced`) and `expect`. The order of `plan_list` means nothing.
//!
//! - `identity` is `confirmed` wherever nothing has to be withheld, also when no birth date is held to compare with.
//! - `plans` and `presentations` are `held`, `none-held` or `withheld`, with every feed heard of and fresh. An attendance
//!   of the last twelve months counts as held: `at_this_trust` and `at_other_trusts` count those of the 90-day window,
//!   `beyond_window` the older ones. Whoever has any is asked about by a trust for which one of them was elsewhere.
//! - For a shielded child no place is given: authorities and the two counts are null, `presentations_total` stands
//!   instead of the counts.
//! - For `date-of-birth-mismatch` everything is withheld and all counts are null.
//! - Nobody is sampled who has a fact within three days of a boundary, so the answers hold for some days.

mod calendar;
mod cases;
mod dice;
mod directory;
mod feeds;
mod geography;
mod manifest;
mod number;
mod output;
mod people;
mod person;
mod plans;
mod reference;
mod scale;
mod scenario;
mod staff;
mod truth;
mod visits;

use jiff::civil::Date;
use std::path::{Path, PathBuf};

pub use manifest::{Counts, Manifest};
pub use output::FileEntry;
pub use scale::{Scale, ScaleError};

use calendar::Calendar;
use feeds::Feeds;
use geography::Geography;
use number::NumberLine;
use output::TableFile;
use people::PeopleMaker;
use reference::Reference;
use truth::Truth;

/// The name of the manifest below the output directory.
pub const MANIFEST: &str = "manifest.json";

/// Folders below the output directory.
const FOLDERS: [&str; 4] = ["directory", "plans", "presentations", "accesses"];

/// What to write, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// Chooses among Englands of the same shape.
    pub seed: u64,
    /// How large a share of England.
    pub scale: Scale,
    /// The day it is as of: nothing presents on or after it.
    pub as_of: Date,
    /// The directory to fill; made when missing, files of an earlier run are overwritten.
    pub out: PathBuf,
}

/// Why an England was not written; messages follow "failed to".
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A file or folder could not be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The compiled-in reference data is damaged.
    #[error("read the compiled-in {file}: {detail}")]
    Reference {
        /// Which data file.
        file: &'static str,
        /// What was expected and found.
        detail: String,
    },
    /// A date near the as-of date cannot be represented.
    #[error("work out dates around the as-of date: {source}")]
    Calendar {
        /// What the calendar said.
        source: jiff::Error,
    },
    /// A line could not be put into JSON.
    #[error("encode JSON: {source}")]
    Json {
        /// What the encoder said.
        source: serde_json::Error,
    },
}

/// Writes one England and gives back its manifest. Memory stays bounded whatever the scale.
///
/// # Errors
///
/// [`SynthError`] when a file cannot be written or the as-of date is at the edge of the calendar. A directory without
/// a manifest is incomplete.
pub fn generate(request: &Request) -> Result<Manifest, SynthError> {
    let calendar = Calendar::new(request.as_of)?;
    let reference = Reference::load()?;
    let geography = Geography::new(&reference);
    prepare(&request.out)?;
    let mut maker = PeopleMaker {
        seed: request.seed,
        scale: request.scale,
        calendar: &calendar,
        reference: &reference,
        geography: &geography,
        numbers: NumberLine::new(request.seed),
        attending: 0,
    };
    let mut feeds = Feeds::create(&request.out, &calendar, &reference)?;
    let mut truth = Truth::new(&maker);
    let mut counts = Counts::default();
    maker.everybody(&mut |household| {
        counts.add(household, &calendar);
        truth.offer(household);
        household.people.iter().try_for_each(|person| feeds.person(person))
    })?;
    truth.add_strangers(&mut maker);

    [counts.plan_rows, counts.presentation_rows, counts.accesses] = feeds.rows();
    let mut truth_file = TableFile::create(&request.out, "truth.jsonl", "")?;
    let samples = truth.write(&mut truth_file)?;
    let mut files = directory::write(&request.out, &reference)?;
    files.extend(feeds.finish()?);
    files.push(truth_file.finish()?);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    let manifest = Manifest {
        seed: request.seed,
        scale: request.scale.to_string(),
        as_of: request.as_of.to_string(),
        counts,
        truth: samples,
        files,
    };
    write_manifest(&request.out, &manifest)?;
    Ok(manifest)
}

/// Makes the folders and takes away the manifest of an earlier run: the directory is incomplete from here on.
fn prepare(out: &Path) -> Result<(), SynthError> {
    for folder in FOLDERS {
        let path = out.join(folder);
        std::fs::create_dir_all(&path).map_err(|source| SynthError::Write { path, source })?;
    }
    let path = out.join(MANIFEST);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SynthError::Write { path, source }),
    }
}

fn write_manifest(out: &Path, manifest: &Manifest) -> Result<(), SynthError> {
    let path = out.join(MANIFEST);
    let mut text = serde_json::to_string_pretty(manifest).map_err(|source| SynthError::Json { source })?;
    text.push('\n');
    std::fs::write(&path, text).map_err(|source| SynthError::Write { path, source })
}
