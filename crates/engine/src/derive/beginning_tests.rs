//! With which entry the watch of use begins after a start, by a real audit and a clock of the test's own.

use super::*;
use crate::files::tests::place::{NOW, days_on, keys};
use crate::watcher::Standing;
use kith_domain::flag::FlagRules;
use kith_store::{JournalOptions, SystemMonotonic};
use std::path::Path;

/// How many days ago each entry was made; the first is entry 1.
const DAYS_AGO: [i64; 7] = [42, 41, 40, 10, 9, 8, 7];
const LAST: u64 = DAYS_AGO.len() as u64;
/// The first that is of the last so many days.
const FIRST_YOUNG: u64 = 4;
const READ_AGAIN_DAYS: u32 = 28;
/// How long anything may take; a search that finds no end takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An audit with those entries, all of them synced.
fn audit(dir: &Path) -> Arc<Journal> {
    // None is given up, however busy the machine is.
    let options = JournalOptions { fail_after: PATIENCE, ..JournalOptions::new(dir.join("audit"), dir.join("spill")) };
    let clock = Arc::new(SystemMonotonic::default());
    let (journal, _) = Journal::open(options, keys(), 0, "a boot", clock).unwrap();
    for (number, days) in (1_u64..).zip(DAYS_AGO) {
        let entry = AuditEntry::of_service(days_on(-days), Decision::Started);
        assert_eq!(journal.append(&encode(&entry).unwrap()).unwrap().sequence, number);
    }
    while journal.synced_through() < LAST {
        std::thread::sleep(Duration::from_millis(1));
    }
    journal
}

/// The entry with which the watch begins by this clock.
fn begins(journal: &Arc<Journal>, now: Moment) -> Option<u64> {
    let standing = Standing { mark: None, derived_through: LAST, audited_through: LAST };
    let deriver = Deriver {
        journal: Arc::clone(journal),
        commands: mpsc::channel(1).0,
        progress: Arc::default(),
        stop: Arc::default(),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(move || now),
        gaps: RefCell::default(),
        watcher: RefCell::new(Watcher::begin(FlagRules::default(), keys(), standing)),
        read_again_days: READ_AGAIN_DAYS,
    };
    let (sender, begins) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        deriver.find_beginning();
        let next = deriver.watcher.borrow().next_before(LAST);
        sender.send(next)
    });
    begins.recv_timeout(PATIENCE).expect("the search ends")
}

#[test]
fn the_watch_begins_with_the_first_entry_of_the_last_so_many_days() {
    let dir = tempfile::tempdir().unwrap();
    let journal = audit(dir.path());
    assert_eq!(begins(&journal, NOW), Some(FIRST_YOUNG));
    // As time goes by each is the first in its turn, up to the moment at which it is so many days old.
    for (number, days) in (1_u64..).zip(DAYS_AGO) {
        let so_old = days_on(i64::from(READ_AGAIN_DAYS) - days);
        assert_eq!(begins(&journal, so_old), Some(number), "to the second so old, {days}");
        // Where all are older it is the last: that one is read again though it need not be.
        let next = (number + 1).min(LAST);
        assert_eq!(begins(&journal, so_old.plus_seconds(1)), Some(next), "a second older, {days}");
    }
}
