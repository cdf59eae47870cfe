//! The audit's disks failing for real: file systems of their own that are full, read-only or frozen, and system calls of the
//! running server that fail or take long. Sink by fault by one-shot or lasting by mode. Of each row: no answer without an entry,
//! refusals with the reason, the move to the other sink, healing by itself, and the gap announced.

mod asking;
mod disks;
mod row;

use row::{Fault, Mode, Place, Row, Shot};

/// What the server says of disks in trouble, and of a lock file that moved with its disk.
const EXPECTED: [&str; 14] = [
    "audit sink failed to write",
    "an audit sink hangs",
    "audit write failed after it was given up",
    "audit sync failed",
    "audit sink cannot begin a segment",
    "audit segment",
    "a sync of the audit failed",
    "the gap could not be written",
    "access history",
    "the audit's tree does not grow",
    "the start could not be",
    "cannot be read",
    "cannot answer",
    "counts of feeds",
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

#[test]
fn the_covering_part_has_every_pair() {
    let rows: Vec<Row> = Place::ALL.into_iter().flat_map(covering).collect();
    let whole: Vec<Row> = Place::ALL.into_iter().flat_map(all).collect();
    assert_eq!((rows.len(), whole.len()), (18, 72));
    for row in &whole {
        let pairs: [(&str, &dyn Fn(&Row) -> bool); 6] = [
            ("place, fault", &|one| (one.place, one.fault) == (row.place, row.fault)),
            ("place, shot", &|one| (one.place, one.shot) == (row.place, row.shot)),
            ("place, mode", &|one| (one.place, one.mode) == (row.place, row.mode)),
            ("fault, shot", &|one| (one.fault, one.shot) == (row.fault, row.shot)),
            ("fault, mode", &|one| (one.fault, one.mode) == (row.fault, row.mode)),
            ("shot, mode", &|one| (one.shot, one.mode) == (row.shot, row.mode)),
        ];
        for (what, has) in pairs {
            assert!(rows.iter().any(has), "no row has {what} of {row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_disk_in_trouble_moves_the_audit_to_the_second() {
    drive(covering(Place::Primary), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_disk_in_trouble_is_not_noticed_by_who_asks() {
    drive(covering(Place::Spill), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_disks_in_trouble_give_no_answer_until_they_heal() {
    drive(covering(Place::Both), false).await;
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
