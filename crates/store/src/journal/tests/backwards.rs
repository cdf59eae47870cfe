//! Reading from the newest entry on: every number is accounted for, whatever happens to the segments, and nobody who writes
//! waits for it.

use super::*;

/// What reading backwards gives: every entry, the newest first, and the numbers in between for which there is none.
#[derive(Debug, Default, PartialEq, Eq)]
struct Back {
    entries: Vec<u64>,
    holes: Vec<(u64, u64)>,
}

fn read_back(journal: &Journal, before: u64) -> Back {
    let (mut back, mut lowest) = (Back::default(), before);
    while let Some(stretch) = journal.read_before(lowest) {
        assert!(stretch.from < lowest, "it goes on");
        for (reference, plain) in stretch.entries.iter().rev() {
            assert!((stretch.from..lowest).contains(&reference.sequence));
            assert!(plain.starts_with(b"entry "), "opened");
            // Above the newest nothing was given yet.
            if reference.sequence + 1 < lowest && !back.entries.is_empty() {
                back.holes.push((reference.sequence + 1, lowest - 1));
            }
            lowest = reference.sequence;
            back.entries.push(lowest);
        }
        if stretch.from < lowest {
            back.holes.push((stretch.from, lowest - 1));
            lowest = stretch.from;
        }
    }
    back
}

fn descending(numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    numbers.rev().collect()
}

/// Several small segments, closed in order.
fn of_several_segments(entries: u64) -> Bench {
    let bench = Bench { segment_bytes: 2 * MAX_ENTRY_BYTES as u64, ..Bench::new(AuditMode::Bounded) };
    let (journal, _) = bench.open();
    for number in 1..=entries {
        let mut plain = format!("entry {number}").into_bytes();
        plain.resize(2_000, b' ');
        journal.append(&plain).unwrap();
        synced(&journal, number);
        eventually("next segment", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    }
    journal.close().unwrap();
    bench
}

#[test]
fn the_newest_come_first_and_none_is_left_out_before_and_after_a_restart() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    assert_eq!(journal.read_before(u64::MAX), None);
    append_all(&journal, 1..=5_000);
    synced(&journal, 5_000);
    let whole = Back { entries: descending(1..=5_000), holes: Vec::new() };
    assert_eq!(read_back(&journal, u64::MAX), whole);
    assert_eq!(read_back(&journal, 3_001).entries, descending(1..=3_000));
    assert_eq!(journal.read_before(1), None);
    // Each is short enough to hold.
    assert!(journal.read_before(5_001).unwrap().entries.len() <= 1_024);
    journal.close().unwrap();
    drop(journal);
    let (journal, _) = bench.open();
    // No place of the segment is known now.
    assert_eq!(read_back(&journal, u64::MAX), whole);
    assert_eq!(read_back(&journal, u64::MAX), whole);
    assert_eq!(read_back(&journal, 10).entries, descending(1..=9));
    // What comes in meanwhile changes nothing below.
    append_all(&journal, 5_001..=5_100);
    synced(&journal, 5_100);
    assert_eq!(read_back(&journal, 5_001), whole);
}

#[test]
fn it_goes_on_across_segments_and_past_one_that_is_gone() {
    let bench = of_several_segments(200);
    let segments = bench.segments(&bench.primary());
    let (journal, _) = bench.open();
    assert_eq!(read_back(&journal, u64::MAX).entries, descending(1..=200));
    let starts: Vec<u64> = journal.shared.lock().catalogue.iter().map(|segment| segment.first).collect();
    assert!(starts.len() > 2, "{starts:?}");
    fs::remove_file(&segments[1]).unwrap();
    let back = read_back(&journal, u64::MAX);
    assert_eq!(back.holes, [(starts[1], starts[2] - 1)], "its numbers are named");
    assert_eq!(back.entries.len() as u64, 200 - (starts[2] - starts[1]));
}

#[test]
fn damage_hides_nothing_but_what_is_damaged() {
    let bench = of_several_segments(100);
    let path = &bench.segments(&bench.primary())[0];
    let mut bytes = fs::read(path).unwrap();
    // Within the sealed bytes of one entry of many.
    bytes[20 * 2_058] ^= 1;
    fs::write(path, bytes).unwrap();
    let (journal, _) = bench.open();
    let back = read_back(&journal, u64::MAX);
    assert_eq!(back.entries.len(), 99);
    assert_eq!(back.holes.len(), 1);
    assert_eq!(back.holes[0].0, back.holes[0].1);
}

#[test]
fn what_was_given_up_and_what_an_unclean_end_left_out_is_a_hole() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    synced(&journal, 3);
    eventually("quiet", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    bench.disk.fail(&bench.primary(), Call::Sync, 1, false, 5);
    journal.append(b"entry 4").unwrap();
    eventually("given up", || journal.window().given_up == 1);
    append_all(&journal, 5..=6);
    synced(&journal, 6);
    assert_eq!(read_back(&journal, u64::MAX), Back { entries: vec![6, 5, 3, 2, 1], holes: vec![(4, 4)] });
    kill(journal);
    let (journal, recovered) = bench.open();
    let next = recovered.gap.unwrap().before_sequence;
    append_all(&journal, 1..=1);
    synced(&journal, next);
    let back = read_back(&journal, u64::MAX);
    assert_eq!((back.entries[0], back.holes[0]), (next, (7, next - 1)));
}

/// A segment whose reading does not come back: a pipe that nobody writes to.
#[test]
fn who_writes_does_not_wait_for_who_reads() {
    let bench = of_several_segments(150);
    let path = bench.segments(&bench.primary()).remove(0);
    let (journal, _) = bench.open();
    fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            begun.store(true, Ordering::Release);
            journal.read_before(2)
        });
        eventually("the reading has begun", || begun.load(Ordering::Acquire));
        let appended = append_all(&journal, 1..=500);
        synced(&journal, appended[499]);
        assert!(!reader.is_finished(), "it still reads");
        // Somebody writes to it, and nothing: the reading ends.
        drop(fs::OpenOptions::new().write(true).open(&path).unwrap());
        let stretch = reader.join().unwrap().unwrap();
        assert_eq!((stretch.entries.len(), stretch.from), (0, 1));
    });
    journal.close().unwrap();
}
