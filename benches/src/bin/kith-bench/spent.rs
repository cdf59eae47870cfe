//! What processes have used so far: processor time, and bytes that went to the disk, as the kernel counts them.

use std::fs;
use std::ops::Sub;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Clock ticks a second of `/proc/<pid>/stat`: 100 on every Linux that this is built for.
const TICKS: f64 = 100.0;

/// Of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub cpu_seconds: f64,
    pub written_bytes: f64,
}

impl Spent {
    /// Processor time and bytes, each as a share of the other's.
    pub fn shares_of(self, other: Self) -> [f64; 2] {
        let share = |own: f64, other: f64| if other > 0.0 { own / other } else { 1.0 };
        [share(self.cpu_seconds, other.cpu_seconds), share(self.written_bytes, other.written_bytes)]
    }
}

impl Sub for Spent {
    type Output = Self;

    /// Never below nothing: a difference of two measurements may be.
    fn sub(self, other: Self) -> Self {
        Self {
            cpu_seconds: (self.cpu_seconds - other.cpu_seconds).max(0.0),
            written_bytes: (self.written_bytes - other.written_bytes).max(0.0),
        }
    }
}

/// The processor time in a line of `/proc/<pid>/stat`: its 14th and 15th field; the name in parentheses may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

fn written_bytes(io: &str) -> Option<f64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

/// Until now.
fn until_now(pids: &[u32]) -> Result<Spent> {
    let mut all = Spent::default();
    for pid in pids {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).context("a process is gone");
        all.cpu_seconds += cpu_seconds(&read("stat")?).context("a stat without times")?;
        all.written_bytes += written_bytes(&read("io")?).context("an io without write_bytes")?;
    }
    Ok(all)
}

/// What processes had used at a moment.
pub struct Since<'a> {
    pids: &'a [u32],
    at: Instant,
    before: Spent,
}

impl<'a> Since<'a> {
    pub fn now(pids: &'a [u32]) -> Result<Self> {
        Ok(Self { pids, at: Instant::now(), before: until_now(pids)? })
    }

    /// What they have used in a second since.
    pub fn per_second(&self) -> Result<Spent> {
        let spent = until_now(self.pids)? - self.before;
        let seconds = self.at.elapsed().as_secs_f64();
        Ok(Spent { cpu_seconds: spent.cpu_seconds / seconds, written_bytes: spent.written_bytes / seconds })
    }
}

/// What processes use in a second, over so many.
pub fn per_second(pids: &[u32], length: Duration) -> Result<Spent> {
    let since = Since::now(pids)?;
    thread::sleep(length);
    since.per_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "12 (a (b) c) S 1 12 12 0 -1 4194304 9 8 7 6 150 50 0 0 20 0 3 0 99";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(written_bytes("rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\n"), Some(4096.0));
        assert_eq!((cpu_seconds("12"), written_bytes("")), (None, None));
        let own = until_now(&[std::process::id()]).unwrap();
        assert!(own.cpu_seconds >= 0.0);
    }

    #[test]
    fn a_difference_is_never_below_nothing() {
        let (less, more) =
            (Spent { cpu_seconds: 1.0, written_bytes: 1.0 }, Spent { cpu_seconds: 2.0, written_bytes: 3.0 });
        assert_eq!(less - more, Spent::default());
        assert_eq!(more - less, Spent { cpu_seconds: 1.0, written_bytes: 2.0 });
        assert_eq!((less.shares_of(more), less.shares_of(Spent::default())), ([0.5, 1.0 / 3.0], [1.0, 1.0]));
    }
}
