//! The audit's disks failing for real: file systems of their own that are full, read-only or frozen, and system calls of the
//! running server that fail or take long. Sink by fault by one-shot or lasting by mode. Of each row: no answer without an entry,
//! refusals with the reason, the move to the other sink, healing by itself, and the gap announced. The same of the change log's disk,
//! and of open files that run out.

mod asking;
mod change_log;
mod changing;
mod disks;
mod open_files;
mod remounted;
mod row;
mod telling;
mod tree;

use row::{Fault, Mode, Place, Row, Shot};

use crate::harness::inject::{Which, struck_in};

/// What the server says of disks in trouble, and of an end that leaves entries given up.
const EXPECTED: [&str; 14] = [
    "no answer: the audit takes no entry",
    "NOT SERVING: questions cannot be audited",
    "audit sink failed to write",
    "audit sink cannot begin a segment",
    "an audit sink hangs",
    "audit write failed after it was given up",
    "audit sync failed",
    "audit segment",
    "a sync of the audit failed",
    "gap could not be written into the audit",
    "access history",
    "the audit's tree does not grow",
    "the stop could not be written",
    "the audit could not be closed in order",
];

/// Each pair of a sink, a fault, a kind of occurrence and a mode, in as few rows as sink and fault need.
fn covering(place: Place) -> Vec<Row> {
    let at = place as usize;
    let row = |(n, fault): (usize, &Fault)| {
        let (once, bounded) = ((at + n).is_multiple_of(2), (at.div_ceil(2) + n).is_multiple_of(2));
        let shot = if once { Shot::Once } else { Shot::Lasting };
        let mode = if bounded { Mode::Bounded } else { Mode::Strict };
        Row { place, fault: *fault, shot, mode }
    };
    Fault::ALL.iter().enumerate().map(row).collect()
}

/// Every row of a sink.
fn all(place: Place) -> Vec<Row> {
    let mut rows = Vec::new();
    for fault in Fault::ALL {
        for shot in Shot::ALL {
            rows.extend(Mode::ALL.map(|mode| Row { place, fault, shot, mode }));
        }
    }
    rows
}

/// Faults of single calls, of which a later one may be struck; the second disk alone is struck from its first call on.
const CALLS: [Fault; 2] = [Fault::WriteFails, Fault::SyncFails];
const CALLED: [Place; 2] = [Place::Primary, Place::Both];

/// Each pair of a place, a fault and a kind of occurrence of a later call, in as few rows as that needs.
fn covering_later() -> Vec<Row> {
    let mut rows = Vec::new();
    for (n, shot) in Shot::LATER.into_iter().enumerate() {
        let place = if n.is_multiple_of(2) { Place::Primary } else { Place::Both };
        let other = if n.is_multiple_of(2) { Place::Both } else { Place::Primary };
        rows.push(Row { place, fault: Fault::WriteFails, shot, mode: Mode::Bounded });
        rows.push(Row { place: other, fault: Fault::SyncFails, shot, mode: Mode::Strict });
    }
    rows
}

/// Every row of a later call.
fn later(place: Place) -> Vec<Row> {
    let mut rows = Vec::new();
    for fault in CALLS {
        for shot in Shot::LATER {
            rows.extend(Mode::ALL.map(|mode| Row { place, fault, shot, mode }));
        }
    }
    rows
}

/// Of the covering rows of the second disk those whose struck calls are made only while the first is full, or the others.
fn covering_second(first_is_full: bool) -> Vec<Row> {
    covering(Place::Spill).into_iter().filter(|row| row.first_is_full() == first_is_full).collect()
}

/// Drives rows one after another; `counted` is how `cargo xtask assure` hears of them.
async fn drive(rows: Vec<Row>, counted: bool) {
    let mut driven = 0;
    for row in &rows {
        println!("failing storage: {row}");
        if !row.drive(&EXPECTED).await {
            return;
        }
        driven += 1;
    }
    if counted {
        println!("COUNTED storage {driven}");
    }
}

/// Drives rows with what the demographics service tells.
async fn drive_telling(rows: Vec<Row>, counted: bool) {
    let mut driven = 0;
    for row in &rows {
        println!("failing storage, what is told of a number: {row}");
        if !telling::drive(*row).await {
            return;
        }
        driven += 1;
    }
    if counted {
        println!("COUNTED storage {driven}");
    }
}

/// Whether two rows have the same pair of something.
type Alike = fn(&Row, &Row) -> bool;

#[test]
fn the_covering_part_has_every_pair() {
    let rows: Vec<Row> = Place::ALL.into_iter().flat_map(covering).collect();
    let whole: Vec<Row> = Place::ALL.into_iter().flat_map(all).collect();
    assert_eq!((rows.len(), whole.len()), (18, 72));
    let pairs: [(&str, Alike); 6] = [
        ("place, fault", |a, b| (a.place, a.fault) == (b.place, b.fault)),
        ("place, shot", |a, b| (a.place, a.shot) == (b.place, b.shot)),
        ("place, mode", |a, b| (a.place, a.mode) == (b.place, b.mode)),
        ("fault, shot", |a, b| (a.fault, a.shot) == (b.fault, b.shot)),
        ("fault, mode", |a, b| (a.fault, a.mode) == (b.fault, b.mode)),
        ("shot, mode", |a, b| (a.shot, a.mode) == (b.shot, b.mode)),
    ];
    for row in &whole {
        for (what, alike) in pairs {
            assert!(rows.iter().any(|one| alike(one, row)), "no row has {what} of {row}");
        }
    }
}

#[test]
fn the_later_rows_are_of_every_place_fault_and_call() {
    let (rows, whole) = (covering_later(), CALLED.map(later).concat());
    assert_eq!((rows.len(), whole.len()), (8, 32));
    let pairs: [(&str, Alike); 4] = [
        ("place, fault", |a, b| (a.place, a.fault) == (b.place, b.fault)),
        ("place, call", |a, b| (a.place, a.shot) == (b.place, b.shot)),
        ("fault, call", |a, b| (a.fault, a.shot) == (b.fault, b.shot)),
        ("mode", |a, b| a.mode == b.mode),
    ];
    for row in &whole {
        for (what, alike) in pairs {
            assert!(rows.iter().any(|one| alike(one, row)), "no row has {what} of {row}");
        }
    }
    let whens =
        [Which::These { first: 1, times: 2 }, Which::These { first: 3, times: 1 }, Which::From(2)].map(Which::when);
    assert_eq!(whens, ["1..2", "3..3", "2+"]);
}

#[test]
fn struck_calls_are_those_on_files_of_a_folder_also_where_another_thread_calls_meanwhile() {
    let seen = "\
        11    fdatasync(7</t/disk/audit/audit-00000001.seg> <unfinished ...>\n\
        12    fdatasync(9</t/disk/spill/audit-00000002.seg>) = -1 EIO (Input/output error) (INJECTED)\n\
        11    <... fdatasync resumed>)              = 0 (DELAYED)\n\
        12    fdatasync(9</t/disk/spill/audit-00000003.seg>) = 0\n\
        12    fdatasync(9</t/disk/spill-other/audit-00000003.seg>) = -1 EIO (Input/output error) (INJECTED)\n";
    let struck = |folder: &str| struck_in(seen, std::path::Path::new(folder));
    assert_eq!(["/t/disk/audit", "/t/disk/spill", "/t/disk/data"].map(struck), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_call_that_fails_is_met_like_the_first() {
    drive(covering_later(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_disk_in_trouble_moves_the_audit_to_the_second() {
    drive(covering(Place::Primary), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_disk_in_trouble_is_not_noticed_by_who_asks() {
    drive(covering_second(false), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_the_second_disk_that_fail_while_the_first_is_full_are_met() {
    drive(covering_second(true), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_disks_in_trouble_give_no_answer_until_they_heal() {
    drive(covering(Place::Both), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_number_while_both_disks_are_in_trouble_is_done_and_told_or_not_done() {
    drive_telling(covering(Place::Both), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_number_while_one_disk_is_in_trouble_is_acknowledged() {
    drive_telling([covering(Place::Primary), covering_second(false)].concat(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_number_while_calls_of_the_second_disk_fail_is_done_and_told_or_not_done() {
    drive_telling(covering_second(true), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_what_is_told_of_a_number() {
    drive_telling(Place::ALL.map(all).concat(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_a_later_call_of_what_is_told_of_a_number() {
    drive_telling(CALLED.map(later).concat(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_the_first_disk() {
    drive(all(Place::Primary), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_the_second_disk() {
    drive(all(Place::Spill), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_both_disks() {
    drive(all(Place::Both), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the whole matrix takes minutes: cargo xtask assure"]
async fn every_row_of_a_later_call() {
    drive(CALLED.map(later).concat(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_a_start_on_a_disk_mounted_for_reading_alone() {
    let mut driven = 0;
    for place in Place::ALL {
        if !remounted::drive(place).await {
            return;
        }
        driven += 1;
    }
    println!("COUNTED storage {driven}");
}

/// Drives what the change log's disk does.
async fn drive_log(rows: &[change_log::Row]) {
    let mut driven = 0;
    for row in rows {
        println!("failing storage, the change log: {row:?}");
        driven += u32::from(row.drive().await);
    }
    println!("COUNTED storage {driven}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_a_failed_sync_of_the_change_log() {
    drive_log(&change_log::Row::SYNCS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_a_disk_of_the_change_log_in_trouble() {
    drive_log(&change_log::Row::DISKS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_open_files_that_run_out() {
    if open_files::drive().await {
        println!("COUNTED storage 1");
    }
}
