//! Runs a target on ever new inputs: mutations of what came out differently from all before it.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::corpus;
use crate::dice::Dice;
use crate::mutate::mutate;
use crate::targets::Target;

/// Inputs kept to mutate at most.
const POOL: usize = 4_096;
/// Inputs between two looks at the clock.
const BETWEEN_LOOKS: u64 = 64;
/// One input must be read with this much of a processor's time: more is a finding, for a peer could send it again and again. By a
/// clock on the wall whatever else the machine does would be one too.
const SLOW: Duration = Duration::from_secs(2);
/// And within this: a reader that waits for ever works no time at all.
const STUCK: Duration = Duration::from_secs(120);

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Inputs run.
    pub inputs: u64,
    /// Different things that were said of them.
    pub outcomes: usize,
    /// Inputs that made the reader panic, break a promise, or take too long, as files.
    pub findings: Vec<PathBuf>,
    /// Those whose outcome was new, seeds excepted.
    pub new: Vec<Vec<u8>>,
}

/// Where things lie.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// For readers of files.
    pub scratch: &'a Path,
    /// Where inputs that are findings are written. The input under way is there as well, so that one that ends the process is
    /// not lost.
    pub findings: &'a Path,
}

/// Runs `target` until `limit` has passed or `most` inputs were run.
///
/// # Errors
/// A file cannot be written.
pub fn run(
    target: &Target,
    seeds: Vec<Vec<u8>>,
    seed: u64,
    (limit, most): (Duration, u64),
    place: Place<'_>,
) -> io::Result<Found> {
    std::fs::create_dir_all(place.findings)?;
    let under_way = std::fs::File::create(place.findings.join(format!("{}.under-way", target.name)))?;
    let mut running = Running { target, place, under_way, said: HashSet::new(), found: Found::default() };
    let words: Vec<Vec<u8>> = seeds.iter().flat_map(|seed| words(seed)).take(POOL).collect();
    let mut pool = seeds;
    for input in &pool {
        running.one(input)?;
    }
    running.found.new.clear();
    let (mut dice, began) = (Dice::new(seed), Instant::now());
    while running.found.inputs < most
        && (!running.found.inputs.is_multiple_of(BETWEEN_LOOKS) || began.elapsed() < limit)
    {
        let pick = |dice: &mut Dice| pool.get(dice.below(pool.len())).map_or(&[][..], Vec::as_slice);
        let (from, other) = (pick(&mut dice), pick(&mut dice));
        let input = mutate(from, other, &words, target.most_bytes, &mut dice);
        if running.one(&input)? {
            running.found.new.push(input.clone());
            if pool.len() < POOL {
                pool.push(input);
            }
        }
    }
    running.found.outcomes = running.said.len();
    std::fs::remove_file(place.findings.join(format!("{}.under-way", target.name)))?;
    Ok(running.found)
}

/// What this process has worked so far.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Pieces of a seed that mean something as a whole: its words.
fn words(seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    seed.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').filter(|word| word.len() > 2).map(<[u8]>::to_vec)
}

struct Running<'a> {
    target: &'a Target,
    place: Place<'a>,
    under_way: std::fs::File,
    said: HashSet<String>,
    found: Found,
}

impl Running<'_> {
    /// Runs one input; true when its outcome is new.
    fn one(&mut self, input: &[u8]) -> io::Result<bool> {
        self.under_way.write_all_at(input, 0)?;
        self.under_way.set_len(input.len() as u64)?;
        self.found.inputs += 1;
        let (began, worked_before) = (Instant::now(), worked());
        let said = catch_unwind(AssertUnwindSafe(|| (self.target.take)(input, self.place.scratch)));
        if let Ok(said) = said
            && worked().saturating_sub(worked_before) < SLOW
            && began.elapsed() < STUCK
        {
            return Ok(self.said.insert(said?));
        }
        let path = corpus::write(&self.place.findings.join(self.target.name), input)?;
        if !self.found.findings.contains(&path) {
            self.found.findings.push(path);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics on what only mutation finds.
    const BREAKS: Target = Target {
        name: "breaks",
        take: |bytes, _| {
            assert!(bytes.len() < 6 || !bytes.starts_with(b"AB"), "two letters and a length");
            Ok(format!("{:?} {}", bytes.first(), bytes.len().min(3)))
        },
        most_bytes: 32,
    };

    #[test]
    fn a_fault_is_found_and_its_input_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { scratch: dir.path(), findings: &dir.path().join("findings") };
        let limits = (Duration::from_secs(600), 200_000);
        let found = run(&BREAKS, vec![b"AxB".to_vec()], 1, limits, place).unwrap();
        assert!(!found.findings.is_empty() && found.outcomes > 3, "{found:?}");
        let kept = std::fs::read(&found.findings[0]).unwrap();
        assert!(kept.starts_with(b"AB") && kept.len() >= 6);
    }

    #[test]
    fn the_same_seed_finds_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let target = crate::targets::named("checkpoint").unwrap();
        let once = || {
            let place = Place { scratch: dir.path(), findings: dir.path() };
            run(target, crate::seeds::of("checkpoint"), 7, (Duration::from_secs(600), 2_000), place).unwrap()
        };
        let (first, second) = (once(), once());
        assert_eq!((first.inputs, first.outcomes, &first.new), (second.inputs, second.outcomes, &second.new));
        assert!(first.findings.is_empty() && first.outcomes > 2, "{first:?}");
    }
}
