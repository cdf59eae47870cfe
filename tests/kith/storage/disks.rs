//! The audit's two disks, each a file system of its own, and the ways in which they fail.

use std::path::{Path, PathBuf};

use super::row::{Fault, Place, Row, Shot};
use crate::harness::inject::{Call, How, Injection, Which};
use crate::harness::mount::{Frozen, Mount};
use crate::harness::process::Server;
use crate::harness::site::Site;

const MEBIBYTES: u64 = 24;
/// A segment is numbered; more than these are not made in a row.
const SEGMENTS: std::ops::RangeInclusive<u32> = 1..=99;
/// Bytes of a segment before its first entry.
const HEADER: u64 = 96;
/// Longer than answers leave without their sync.
const SLOW_MS: u32 = 80;

pub struct Disks {
    primary: Mount,
    spill: Mount,
    /// What fills the first beside what is struck.
    filler: Option<PathBuf>,
}

/// What was done, to be mended.
pub enum Trouble {
    Filled(Vec<PathBuf>),
    ReadOnly(Place),
    Frozen(Vec<Frozen>),
    Injected(Injection),
}

impl Trouble {
    /// How many calls were made to fail or to wait.
    pub fn met(&self) -> usize {
        match self {
            Self::Injected(injection) => injection.met(),
            Self::Filled(_) | Self::ReadOnly(_) | Self::Frozen(_) => 0,
        }
    }
}

impl Disks {
    pub fn mounted(test: &str, site: &Site) -> Option<Self> {
        let mount = |name: &str| {
            Mount::disk(test, &site.path(&format!("{name}.img")), &site.path(&format!("disk/{name}")), MEBIBYTES)
        };
        Some(Self { primary: mount("audit")?, spill: mount("spill")?, filler: None })
    }

    fn of(&self, place: Place) -> Vec<&Mount> {
        match place {
            Place::Primary => vec![&self.primary],
            Place::Spill => vec![&self.spill],
            Place::Both => vec![&self.primary, &self.spill],
        }
    }

    /// From now on entries go to the second disk: while the first works no call is made on it.
    pub fn fill_the_first(&mut self) {
        self.filler = Some(self.primary.fill());
    }

    /// Whether what was struck was met: on each disk, and of a later call on one of them.
    pub fn are_met(&self, row: Row, trouble: &Trouble) -> bool {
        match trouble {
            Trouble::Filled(_) | Trouble::ReadOnly(_) | Trouble::Frozen(_) => true,
            Trouble::Injected(injection) => {
                let (struck, met) = (self.of(row.place), |disk: &&Mount| injection.met_in(disk.at()) > 0);
                match row.shot {
                    Shot::Once | Shot::Lasting => struck.iter().all(met),
                    Shot::Nth(_) | Shot::FromNth(_) => struck.iter().any(met),
                }
            }
        }
    }

    /// None where calls cannot be made to fail here.
    pub fn strike(&self, row: Row, server: &Server) -> Option<Trouble> {
        let struck = self.of(row.place);
        let inject = |call: Call, how: How| {
            let paths = struck.iter().flat_map(|disk| segments(disk.at())).collect::<Vec<_>>();
            // A write that failed on the first disk is tried on the second by the same thread.
            let each = if call == Call::Write { u32::try_from(struck.len()).unwrap() } else { 1 };
            let which = match row.shot {
                Shot::Once => Which::These { first: 1, times: each },
                Shot::Nth(first) => Which::These { first, times: each },
                Shot::Lasting => Which::From(1),
                Shot::FromNth(first) => Which::From(first),
            };
            Injection::attach(&row.to_string(), server, call, (how, which), &paths).map(Trouble::Injected)
        };
        match row.fault {
            Fault::Full => Some(Trouble::Filled(struck.iter().map(|disk| disk.fill()).collect())),
            Fault::ReadOnly => {
                struck.iter().for_each(|disk| disk.abort());
                Some(Trouble::ReadOnly(row.place))
            }
            Fault::Frozen => Some(Trouble::Frozen(struck.iter().map(|disk| disk.freeze()).collect())),
            Fault::Slow => inject(Call::Sync, How::Waits(SLOW_MS)),
            Fault::WriteFails => inject(Call::Write, How::Fails),
            Fault::SyncFails => inject(Call::Sync, How::Fails),
        }
    }

    /// Mounts them anew, under nobody.
    pub fn remount(&self, place: Place, writable: bool) {
        self.of(place).iter().for_each(|disk| disk.remount(writable));
    }

    pub fn mend(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Filled(fillers) => fillers.iter().for_each(|filler| std::fs::remove_file(filler).unwrap()),
            Trouble::Frozen(frozen) => drop(frozen),
            Trouble::Injected(injection) => injection.detach(),
            Trouble::ReadOnly(place) => {
                if place != Place::Spill {
                    self.primary.replace();
                }
                if place != Place::Primary {
                    self.spill.replace();
                }
            }
        }
        if let Some(filler) = self.filler.take() {
            std::fs::remove_file(filler).unwrap();
        }
    }

    /// Whether the second disk has taken an entry.
    pub fn spill_has_entries(&self) -> bool {
        self.spill_lengths().iter().any(|length| *length > HEADER)
    }

    /// The same, and holds its next segment ready: the next sync of it is one of entries.
    pub fn spill_is_under_way(&self) -> bool {
        self.spill_has_entries() && self.spill_lengths().contains(&HEADER)
    }

    fn spill_lengths(&self) -> Vec<u64> {
        let found = segments(self.spill.at()).into_iter().filter_map(|path| std::fs::metadata(path).ok());
        found.map(|metadata| metadata.len()).collect()
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    SEGMENTS.map(|number| dir.join(format!("audit-{number:08}.seg"))).collect()
}
