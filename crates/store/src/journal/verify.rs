//! Verifying a journal that no process has open: every entry of both sinks is read, opened and put in order,
//! and what is wrong is named. It never changes a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::format::{Header, HeaderFault, open_entry};
use super::reader::{SegmentReader, Step, read_header, was_being_made};
use super::recover::{file_name, list, read_markers};
use super::survey::{Damage, JournalSurvey, announced_from};
use super::types::{Gap, GapCause, JournalError, Sink, Told};
use super::{Journal, lock_path};
use crate::database::count;
use crate::keys::Keys;

/// Most faults listed one by one; beyond them only their number grows.
const MAX_FAULTS_LISTED: usize = 1_000;

/// One thing that is wrong. Segments are named by sink and file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// The header is damaged: nothing of the segment was checked against it.
    #[error("{segment}: header damaged")]
    Header {
        /// Which.
        segment: String,
    },
    /// Written by a newer version.
    #[error("{segment}: version {found} is newer than this one")]
    NewerFormat {
        /// Which.
        segment: String,
        /// The version found.
        found: u16,
    },
    /// The file could not be read to its end.
    #[error("{segment}: {what}")]
    Unreadable {
        /// Which.
        segment: String,
        /// The system's words.
        what: String,
    },
    /// Bytes in the middle are not whole entries.
    #[error("{segment}: damaged from byte {offset} up to entry {next_sequence}")]
    Damaged {
        /// Which.
        segment: String,
        /// Where it begins.
        offset: u64,
        /// The next whole entry.
        next_sequence: u64,
    },
    /// A whole entry does not open under its number.
    #[error("{segment}: entry {sequence} does not open under its number")]
    Sealed {
        /// Which.
        segment: String,
        /// Its number.
        sequence: u64,
    },
    /// A number is there twice.
    #[error("{segment}: entry {sequence} is there twice")]
    Duplicate {
        /// Where the second one stands.
        segment: String,
        /// Its number.
        sequence: u64,
    },
    /// An entry stands after one with a higher number.
    #[error("{segment}: entry {sequence} stands after entry {previous}")]
    OutOfOrder {
        /// Which.
        segment: String,
        /// The entry's number.
        sequence: u64,
        /// The one before it.
        previous: u64,
    },
    /// Entries are missing, no opening declared it, and no entry told of it, or the tree was signed with them.
    #[error("entries {first} to {last} are missing")]
    Missing {
        /// The first missing.
        first: u64,
        /// The last missing.
        last: u64,
    },
    /// An entry tells of a removal, entries that it would explain are missing, and it is not under a signed head, or the log's key
    /// never signed that removal: whoever has the storage key could have written it.
    #[error(
        "entry {entry} tells that entries up to {through} were removed, and that is not signed: it excuses nothing"
    )]
    RemovalNotSigned {
        /// The entry that tells it.
        entry: u64,
        /// The last number that it tells of.
        through: u64,
    },
}

/// What an entry, as it was before it was sealed, tells of numbers that have none.
pub type TellsOf<'a> = &'a dyn Fn(&[u8]) -> Option<Told>;

/// What [`Journal::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Segments read.
    pub segments: u64,
    /// Whole entries read.
    pub entries: u64,
    /// The highest number; 0 when there is none.
    pub last_sequence: u64,
    /// Up to this number entries are rightly missing: they were removed when their time had passed. 0 when none were.
    pub removed_through: u64,
    /// Ranges that an opening left out after an unclean end: what may have been lost there was announced.
    pub declared_gaps: Vec<Gap>,
    /// Segments that end in part of an entry, hold part of a header and nothing else, or have in their midst what was not whole on
    /// disk when the power went: a write that never returned, or never reached the disk.
    pub torn_tails: Vec<String>,
    /// Ranges, first and last number, that are missing, of which an entry told that they may be, and that a tree, where one is
    /// signed, was signed without: an end without order took them, or a disk that failed.
    pub announced: Vec<(u64, u64)>,
    /// Ranges that the opening which wrote last has lost, and of which nothing was under a signed head: the next start announces them.
    pub unsigned: Vec<(u64, u64)>,
    /// What is wrong, at most 1,000 of it.
    pub faults: Vec<JournalFault>,
    /// Faults found beyond those listed.
    pub more_faults: u64,
}

/// A run of entries of one segment.
struct Run {
    name: String,
    header: Option<Header>,
    first: u64,
    last: u64,
    /// Ranges inside the run that are not there.
    holes: Vec<(u64, u64)>,
}

impl JournalReport {
    /// Whether nothing is wrong. Declared gaps, torn tails and what was announced or never signed are not faults, and are listed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.more_faults == 0
    }

    pub(super) fn add(&mut self, fault: JournalFault) {
        if self.faults.len() < MAX_FAULTS_LISTED {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }

    fn read_segment(
        &mut self,
        name: String,
        path: &Path,
        (keys, tells): (&Keys, TellsOf<'_>),
        (told, damaged): (&mut Vec<(u64, Told)>, &mut Vec<Damage>),
    ) -> std::io::Result<Option<Run>> {
        self.segments += 1;
        let header = match read_header(path)? {
            Ok(header) => Some(header),
            Err(HeaderFault::Newer(found)) => {
                self.add(JournalFault::NewerFormat { segment: name, found });
                return Ok(None);
            }
            Err(HeaderFault::NotAHeader) if was_being_made(path)? => {
                self.torn_tails.push(name);
                return Ok(None);
            }
            Err(HeaderFault::NotAHeader) => {
                self.add(JournalFault::Header { segment: name.clone() });
                None
            }
        };
        let mut reader = SegmentReader::open(path, 0)?;
        let mut run: Option<Run> = None;
        loop {
            match reader.step()? {
                Step::Entry { sequence, sealed, .. } => {
                    self.entries += 1;
                    match open_entry(keys, sequence, &sealed) {
                        Ok(plain) => told.extend(tells(&plain).map(|tells| (sequence, tells))),
                        Err(_) => self.add(JournalFault::Sealed { segment: name.clone(), sequence }),
                    }
                    self.extend(&mut run, &name, header, sequence);
                }
                Step::End => return Ok(run),
                Step::Bad { offset } => match reader.skip_damage(offset)? {
                    Some(next_sequence) => {
                        let before = next_sequence.saturating_sub(1);
                        let first = run.as_ref().map_or(before, |run| run.last.saturating_add(1));
                        if first < next_sequence {
                            damaged.push(Damage { segment: name.clone(), offset, range: (first, before) });
                        } else {
                            self.add(JournalFault::Damaged { segment: name.clone(), offset, next_sequence });
                        }
                    }
                    None => {
                        self.torn_tails.push(name);
                        return Ok(run);
                    }
                },
            }
        }
    }

    fn extend(&mut self, run: &mut Option<Run>, name: &str, header: Option<Header>, sequence: u64) {
        let Some(run) = run else {
            *run = Some(Run { name: name.to_owned(), header, first: sequence, last: sequence, holes: Vec::new() });
            return;
        };
        let previous = run.last;
        if sequence == previous {
            self.add(JournalFault::Duplicate { segment: name.to_owned(), sequence });
        } else if sequence < previous {
            self.add(JournalFault::OutOfOrder { segment: name.to_owned(), sequence, previous });
        } else if sequence > previous + 1 {
            run.holes.push((previous + 1, sequence - 1));
        }
        run.last = previous.max(sequence);
    }

    /// Puts the runs in order and gives the numbers between them that no opening left out.
    fn join(&mut self, mut runs: Vec<Run>) -> Vec<(u64, u64)> {
        runs.sort_by_key(|run| (run.first, run.last));
        let mut missing = Vec::new();
        for run in &runs {
            let previous = self.last_sequence;
            let next = previous.saturating_add(1);
            // What an opening left out before its first number was never given; what is not there from that number on is missing.
            let opening = run.header.filter(|header| header.resumes_after == previous);
            let began = opening.map(|header| header.first_sequence);
            let began = began.filter(|first| (next..=run.first).contains(first)).unwrap_or(next);
            if run.first <= previous {
                self.add(JournalFault::Duplicate { segment: run.name.clone(), sequence: run.first });
            } else {
                if began > next {
                    let cause = GapCause::EntriesMissing;
                    self.declared_gaps.push(Gap { after_sequence: previous, before_sequence: began, cause });
                }
                if run.first > began {
                    missing.push((began, run.first - 1));
                }
            }
            missing.extend(run.holes.iter().copied());
            self.last_sequence = previous.max(run.last);
        }
        missing
    }
}

/// The segments of both sinks that hold an entry, by the number of their first, with that number.
pub(crate) fn segments_of(dirs: [&Path; 2]) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for dir in dirs {
        for file in list(dir)? {
            let mut first = None;
            visit(&file.path, &mut |sequence, _| {
                first = Some(sequence);
                ControlFlow::Break(())
            })?;
            segments.extend(first.map(|first| (first, file.path)));
        }
    }
    segments.sort();
    Ok(segments)
}

/// What `take` makes of each whole entry of a segment.
pub(crate) fn entries_in<T>(path: &Path, take: impl Fn(u64, &[u8]) -> T) -> std::io::Result<Vec<(u64, T)>> {
    let mut entries = Vec::new();
    visit(path, &mut |sequence, sealed| {
        entries.push((sequence, take(sequence, sealed)));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Visits the whole entries of a segment and passes over what is damaged.
pub(crate) fn visit(path: &Path, each: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> std::io::Result<()> {
    let mut reader = SegmentReader::open(path, 0)?;
    loop {
        match reader.step()? {
            Step::End => return Ok(()),
            Step::Entry { sequence, sealed, .. } => {
                if each(sequence, &sealed).is_break() {
                    return Ok(());
                }
            }
            Step::Bad { offset } => {
                if reader.skip_damage(offset)?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}

impl Journal {
    /// Whether either directory holds an entry, whatever it was sealed with. Never writes; a directory that is not there holds
    /// none.
    ///
    /// # Errors
    /// [`JournalError::Io`] when one cannot be read.
    pub fn has_entries(sinks: [&Path; 2]) -> Result<bool, JournalError> {
        for dir in sinks {
            if !dir.try_exists()? {
                continue;
            }
            for file in list(dir)? {
                let mut found = false;
                visit(&file.path, &mut |_, _| {
                    found = true;
                    ControlFlow::Break(())
                })?;
                if found {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// How many entries of both sinks stand under each version of the data key. Both must be directories that a journal was
    /// opened on: what is not mounted needs its key too.
    ///
    /// # Errors
    /// [`JournalError::NotASink`], and [`JournalError::Io`] when anything cannot be read.
    pub fn key_uses(primary: &Path, spill: &Path) -> Result<BTreeMap<u8, u64>, JournalError> {
        let mut counts = BTreeMap::new();
        for (sink, dir) in Sink::ALL.into_iter().zip([primary, spill]) {
            if !lock_path(dir).try_exists()? {
                return Err(JournalError::NotASink(sink));
            }
            for file in list(dir)? {
                visit(&file.path, &mut |_, sealed| {
                    count(&mut counts, sealed);
                    ControlFlow::Continue(())
                })?;
            }
        }
        Ok(counts)
    }

    /// Reads every segment of both sinks: headers, sums, every entry opened under its number, and the order
    /// over both sinks. For a journal that no process has open.
    ///
    /// # Errors
    /// [`JournalError::Io`] when a directory cannot be listed; everything else is in the report.
    pub fn verify(primary: &Path, spill: &Path, keys: &Keys) -> Result<JournalReport, JournalError> {
        Ok(Self::survey(primary, spill, keys, &|_| None)?.judged(None))
    }

    /// As [`Journal::verify`], before it is judged what is rightly missing or was announced: `tells` finds the entries that speak
    /// of it.
    ///
    /// # Errors
    /// Those of [`Journal::verify`].
    pub fn survey(
        primary: &Path,
        spill: &Path,
        keys: &Keys,
        tells: TellsOf<'_>,
    ) -> Result<JournalSurvey, JournalError> {
        let mut report = JournalReport::default();
        let (mut runs, mut told, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for (sink, dir) in Sink::ALL.into_iter().zip([primary, spill]) {
            for file in list(dir)? {
                let name = format!("{}/{}", sink.name(), file_name(&file.path));
                match report.read_segment(name.clone(), &file.path, (keys, tells), (&mut told, &mut damaged)) {
                    Ok(run) => runs.extend(run),
                    Err(error) => {
                        report.add(JournalFault::Unreadable { segment: name, what: error.to_string() });
                    }
                }
            }
        }
        let openings: BTreeSet<u64> = runs.iter().filter_map(|run| Some(run.header?.first_sequence)).collect();
        let missing = report.join(runs);
        let announced_from = announced_from(&openings, &missing);
        let last = report.last_sequence;
        let marked = read_markers([primary, spill])?;
        let closed_over = marked.filter(|marked| marked.last > last).map(|marked| (last + 1, marked.last));
        Ok(JournalSurvey { report, missing, closed_over, announced_from, told, damaged })
    }
}

impl fmt::Display for JournalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "audit: {} segments, {} entries, last {}", self.segments, self.entries, self.last_sequence)?;
        if self.removed_through > 0 {
            writeln!(f, "audit: entries up to {} were removed under retention", self.removed_through)?;
        }
        for gap in &self.declared_gaps {
            writeln!(f, "gap declared between entries {} and {}", gap.after_sequence, gap.before_sequence)?;
        }
        for (first, last) in &self.announced {
            writeln!(
                f,
                "entries {first} to {last} are missing, as an entry told that they may be; what they held is not known"
            )?;
        }
        for (first, last) in &self.unsigned {
            writeln!(
                f,
                "entries {first} to {last} are missing, and were under no signed head: the next start announces it"
            )?;
        }
        for name in &self.torn_tails {
            writeln!(f, "torn tail: {name}")?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        if self.more_faults > 0 {
            writeln!(f, "FAULT and {} more", self.more_faults)?;
        }
        Ok(())
    }
}
