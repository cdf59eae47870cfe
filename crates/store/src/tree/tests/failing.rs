//! A disk that fails: checkpoints wait, what was published stays, and nothing is signed twice differently.

use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[test]
fn whatever_call_fails_growth_goes_on_from_what_was_published() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Truncate] {
        for nth in 1..=4 {
            for (sticky, error) in [(false, EIO), (true, EIO), (true, ENOSPC)] {
                one_failure(call, nth, sticky, error);
            }
        }
    }
}

fn one_failure(call: Call, nth: u32, sticky: bool, error: i32) {
    let what = format!("{call:?} {nth} {sticky} {error}");
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(300);
    open.grow(&bench);
    let published = open.checkpoint();
    open.append(300);
    bench.disk.fail_partly(&bench.tree(), call, nth, sticky, error, 100);
    let mut failed = 0;
    for _ in 0..6 {
        bench.clock.advance_ms(1_000);
        failed += u32::from(open.step(&bench, false).is_err());
        // Whoever asks meanwhile gets what was published before, or all.
        assert!([300, 600].contains(&open.checkpoint().size), "{what}");
    }
    bench.disk.heal();
    bench.clock.advance_ms(1_000);
    open.step(&bench, false).unwrap();
    open.append(1);
    open.grow(&bench);
    assert_eq!(open.checkpoint().size, 601, "{what}, failed {failed} times");
    open.follows(&published);
    let report = bench.verify();
    assert!(report.is_sound(), "{what}: {report}");
    drop(open);
    let open = bench.open();
    assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "{what}");
}

#[test]
fn a_failing_write_leaves_its_part_and_is_written_anew() {
    for partial in [0, 1, 47, 48, 49, 100, 4_096] {
        let bench = Bench::new();
        let mut open = bench.open();
        open.append(200);
        bench.disk.fail_partly(&bench.tree(), Call::Write, 1, false, ENOSPC, partial);
        open.step(&bench, true).unwrap_err();
        assert_eq!(open.tree.checkpoint(), None);
        // Ended here, as by a power cut, it is no fault; nor is going on.
        let report = bench.verify();
        assert!(report.is_sound(), "{partial}: {report}");
        open.grow(&bench);
        assert_eq!(open.checkpoint().size, 200);
        assert!(bench.verify().is_sound());
    }
}

#[test]
fn after_a_failure_it_is_tried_again_every_second_and_not_all_the_time() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(1_000);
    bench.disk.fail(&bench.tree(), Call::Sync, 1, true, EIO);
    open.step(&bench, false).unwrap_err();
    let syncs = bench.disk.syncs(&bench.tree());
    bench.clock.advance_ms(999);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Idle);
    assert_eq!(bench.disk.syncs(&bench.tree()), syncs);
    bench.clock.advance_ms(1);
    open.step(&bench, false).unwrap_err();
    bench.disk.heal();
    bench.clock.advance_ms(1_000);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Grew);
}

#[test]
fn nothing_is_published_that_a_power_cut_could_take_back() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(10);
    open.grow(&bench);
    // The leaves are synced, and the checkpoint is not: nobody sees it.
    open.append(10);
    bench.disk.fail(&bench.tree(), Call::Sync, 2, false, EIO);
    open.step(&bench, true).unwrap_err();
    assert_eq!(open.checkpoint().size, 10);
    let fetched = fs::read(checkpoint_path(&bench.tree())).unwrap();
    assert_eq!(Checkpoint::open(&fetched, &key()).unwrap().0.size, 10);
}

#[test]
fn a_thread_that_ended_by_itself_is_a_failure() {
    let bench = Bench::new();
    let open = bench.open();
    assert!(!open.tree.status().failing);
    let ended = std::thread::spawn(|| {});
    eventually("the end of a thread", || ended.is_finished());
    *open.tree.thread.lock().unwrap() = Some(ended);
    assert!(open.tree.status().failing, "nothing grows any more");
    open.tree.close();
    assert!(!open.tree.status().failing, "it was closed");
}

#[test]
fn a_thread_that_hangs_on_its_disk_is_a_failure_until_it_comes_back() {
    for in_sync in [false, true] {
        let bench = Bench::new();
        let mut open = bench.open();
        *open.tree.grower.lock().unwrap() = open.grower.take();
        open.tree.follow(&open.journal, 0).unwrap();
        open.append(10);
        let dir = bench.tree();
        match in_sync {
            true => bench.disk.hang(&dir),
            false => bench.disk.hang_writes(&dir),
        }
        let begun = || if in_sync { bench.disk.syncs(&dir) } else { bench.disk.writes(&dir) };
        let before = begun();
        bench.clock.advance_ms(1_000);
        eventually("the thread is at its disk", || begun() > before);
        assert!(!open.tree.status().failing, "any step takes a moment");
        let hung_ms = u64::try_from(HUNG_AFTER.as_millis()).unwrap();
        bench.clock.advance_ms(hung_ms);
        assert!(open.tree.status().failing, "nothing grows any more");
        assert_eq!(open.append(5), 15, "no entry waits for it");
        match in_sync {
            true => bench.disk.release(),
            false => bench.disk.release_writes(),
        }
        eventually("it grows again", || !open.tree.status().failing);
        bench.clock.advance_ms(1_000);
        eventually("all of it is signed", || open.tree.status().signed_leaves == Some(15));
        open.tree.close();
        assert!(bench.verify().is_sound());
    }
}
