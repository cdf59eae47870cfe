//! Unclean ends: what is told, and that no number is ever given twice.

use super::*;
use crate::journal::recover::UNCLEAN_STRIDE;
use crate::keys::Keys;

#[test]
fn a_killed_process_and_a_restarted_machine_are_told_apart() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    kill(journal);
    let (journal, recovered) = bench.open();
    let before_sequence = 4 + UNCLEAN_STRIDE;
    let gap = Gap { after_sequence: 3, before_sequence, cause: GapCause::ProcessEnded };
    assert_eq!(recovered, Recovered { last_sequence: 3, gap: Some(gap) });
    assert_eq!(journal.append(b"gap entry").unwrap().sequence, before_sequence);
    synced(&journal, before_sequence);
    assert_eq!(read_all(&journal).len(), 4, "reading goes on across the gap");
    assert_eq!(journal.read_from(before_sequence, 9).unwrap().len(), 1);
    kill(journal);
    let (journal, recovered) = bench.try_open(0, "another boot").unwrap();
    assert_eq!(recovered.gap.unwrap().cause, GapCause::MachineRestarted);
    kill(journal);
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.declared_gaps.len(), 1);
}

#[test]
fn numbers_whose_entries_were_lost_are_never_given_again() {
    let bench = Bench::new(AuditMode::Bounded);
    let mut given = Vec::new();
    for _ in 0..4 {
        let (journal, _) = bench.open();
        given.push(journal.append(b"lost").unwrap().sequence);
        kill(journal);
        // A power cut took the entry; the segment's header had been synced.
        for path in bench.segments(&bench.primary()) {
            fs::File::options().write(true).open(path).unwrap().set_len(96).unwrap();
        }
    }
    // Even a clean end in between does not bring them back.
    let (journal, _) = bench.open();
    journal.close().unwrap();
    drop(journal);
    let (journal, recovered) = bench.open();
    assert_eq!(recovered.gap, None);
    given.push(journal.append(b"kept").unwrap().sequence);
    let mut unique = given.clone();
    unique.dedup();
    assert!(given.is_sorted() && unique == given, "{given:?}");
}

#[test]
fn a_floor_above_what_was_found_is_a_gap() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    journal.close().unwrap();
    drop(journal);
    let (journal, recovered) = bench.try_open(9, BOOT).unwrap();
    let gap = recovered.gap.unwrap();
    assert_eq!((gap.after_sequence, gap.cause), (3, GapCause::EntriesMissing));
    assert!(journal.append(b"x").unwrap().sequence > 9);
}

/// The second sink is slower: what it had still to sync when the power went is gone, and what the first took after it is there.
#[test]
fn what_one_sink_lost_below_what_the_other_kept_is_a_gap_from_there_on() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    bench.disk.fail(&bench.primary(), Call::Write, 1, true, 28);
    append_all(&journal, 1..=5);
    synced(&journal, 5);
    bench.disk.heal();
    bench.clock.advance_ms(1_000);
    eventually("new segment", || journal.shared.lock().sink(Sink::Primary).standby.is_some());
    append_all(&journal, 6..=8);
    synced(&journal, 8);
    assert_eq!(journal.window().sink, Some(Sink::Primary));
    kill(journal);
    let entry = 16 + 42 + "entry 1".len() as u64;
    let slow = bench.segments(&bench.spill()).remove(0);
    fs::File::options().write(true).open(slow).unwrap().set_len(96 + 3 * entry).unwrap();
    // Also where what follows them is known to have been synced: those that were given up count as well.
    for floor in [0, 8] {
        let (journal, recovered) = bench.try_open(floor, "another boot").unwrap();
        let before_sequence = journal.shared.header.first_sequence;
        let gap = Gap { after_sequence: 3, before_sequence, cause: GapCause::MachineRestarted };
        assert_eq!(recovered, Recovered { last_sequence: 8, gap: Some(gap) });
        kill(journal);
    }
    let (journal, _) = bench.open();
    let told = append_all(&journal, 1..=3);
    synced(&journal, told[2]);
    kill(journal);
    let (journal, recovered) = bench.open();
    assert_eq!(recovered.gap.unwrap().after_sequence, told[2], "once it was told");
    kill(journal);
    // The entry that told of it is lost, and one after it is there.
    let path =
        bench.segments(&bench.primary()).into_iter().rfind(|path| fs::metadata(path).unwrap().len() > 96).unwrap();
    let whole = fs::read(&path).unwrap();
    let second = usize::try_from(96 + entry).unwrap();
    fs::write(&path, [&whole[..96], &whole[second..]].concat()).unwrap();
    let (journal, recovered) = bench.open();
    assert_eq!(recovered.gap.unwrap().after_sequence, 3);
    kill(journal);
}

#[test]
fn other_keys_are_refused() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    journal.close().unwrap();
    drop(journal);
    let options = JournalOptions::new(bench.primary(), bench.spill());
    let clock: Arc<dyn Monotonic> = bench.clock.clone();
    let other = Arc::new(Keys::from_master([9; 32]));
    assert!(matches!(Journal::open(options, other, 0, BOOT, clock), Err(JournalError::KeyMismatch)));
}

#[test]
fn reading_after_a_restart_remembers_its_places() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=5_000);
    journal.close().unwrap();
    drop(journal);
    let (journal, _) = bench.open();
    assert_eq!(read_all(&journal).len(), 5_000);
    // Those before the first place that is remembered too.
    assert_eq!(read_all(&journal).len(), 5_000);
    assert!(journal.sealed(500).unwrap().is_some());
    let state = journal.shared.lock();
    let marks = &state.catalogue[0].marks;
    assert!(marks.len() >= 4 && marks.is_sorted(), "{marks:?}");
}

/// A disk that is not mounted is no sink without entries: what it holds may need any key.
#[test]
fn keys_in_use_are_counted_in_both_sinks_or_not_at_all() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=3);
    journal.close().unwrap();
    drop(journal);
    let [primary, spill] = [bench.primary(), bench.spill()];
    assert!(Journal::has_entries([&primary, &spill]).unwrap() && Journal::has_entries([&spill, &primary]).unwrap());
    assert!(!Journal::has_entries([&spill, &bench.dir.path().join("nowhere")]).unwrap(), "segments without an entry");
    let counted = || Journal::key_uses(&bench.primary(), &bench.spill());
    assert_eq!(counted().unwrap().into_iter().collect::<Vec<_>>(), [(1, 3)]);
    let away = bench.dir.path().join("away");
    for dir in [bench.primary(), bench.spill()] {
        fs::rename(&dir, &away).unwrap();
        assert!(matches!(counted(), Err(JournalError::NotASink(_))), "{}", dir.display());
        fs::create_dir(&dir).unwrap();
        assert!(
            matches!(counted(), Err(JournalError::NotASink(_))),
            "{}: a mount point without its disk",
            dir.display()
        );
        fs::remove_dir(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
    }
}
