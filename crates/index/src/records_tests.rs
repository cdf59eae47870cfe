//! The tables of records beside a plain map: whatever comes and goes, each subject has its own record.

use super::*;
use kith_domain::NhsNumber;
use kith_domain::codes::OdsCode;
use kith_domain::presentation::Presentation;
use kith_domain::text::{EncounterId, LocalKey};
use std::collections::BTreeMap;

fn number(n: u32) -> Subject {
    Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
}

fn local(n: u32) -> Subject {
    Subject::Local(OdsCode::parse("R1H").unwrap(), LocalKey::parse(&format!("L{n}")).unwrap())
}

fn record(subject: Subject, presentations: u32) -> ChildRecord {
    let organisation = OdsCode::parse("RRK").unwrap();
    let one = |n| Presentation::new(organisation, EncounterId::parse(&format!("E{n:05}")).unwrap());
    ChildRecord { presentations: (0..presentations).map(one).collect(), ..ChildRecord::new(subject) }
}

/// One shard, so that records share an arena.
fn one_shard() -> Records {
    Records { shards: [RwLock::default()].into(), tables: Tables::default(), state: RandomState::new() }
}

#[test]
fn records_come_and_go_as_in_a_plain_map() {
    for records in [Records::default(), one_shard()] {
        let mut expected = BTreeMap::new();
        let mut dice = 7_u64;
        for _ in 0..30_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (who, what) = ((dice >> 33) as u32 % 200, (dice >> 50) as u32);
            let subject = if who < 150 { number(who) } else { local(who) };
            if what.is_multiple_of(4) {
                assert_eq!(records.take(&subject), expected.remove(&subject));
            } else {
                let new = record(subject.clone(), what % 40);
                assert_eq!(records.put(&new), expected.insert(subject, new));
            }
        }
        for subject in (0..200).flat_map(|n| [number(n), local(n)]) {
            assert_eq!(records.read(&subject).map(|found| found.0), expected.get(&subject).cloned());
        }
        assert!(!expected.is_empty());
    }
}

#[test]
fn every_publication_has_a_stamp_of_its_own() {
    let (records, same) = (one_shard(), record(number(1), 3));
    let stamp = |subject| records.read(&subject).map(|found| found.1);
    assert_eq!(stamp(number(1)), None);
    let mut known: Vec<Stamp> = Vec::new();
    for n in 0..5_000 {
        records.put(&same);
        let stamp = stamp(number(1)).unwrap();
        assert!(known.iter().rev().take(200).all(|before| *before != stamp), "publication {n}");
        known.push(stamp);
        if n % 3 == 0 {
            records.take(&number(1));
        }
    }
    let mut distinct = known.iter().map(|stamp| format!("{stamp:?}")).collect::<Vec<_>>();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), known.len());
}

#[test]
fn another_persons_record_leaves_the_stamp_as_it_is() {
    let records = Records::default();
    records.put(&record(number(1), 1));
    let before = records.read(&number(1)).unwrap().1;
    for n in 2..2_000 {
        records.put(&record(number(n), 1));
    }
    assert_eq!(records.read(&number(1)).unwrap().1, before);
}

#[test]
fn what_was_replaced_does_not_pile_up() {
    let records = one_shard();
    for n in 0..100 {
        records.put(&record(number(n), 5));
    }
    for round in 0..20_000 {
        records.put(&record(number(round % 100), 5));
    }
    let shard = records.shards[0].read().unwrap();
    let held: usize = shard.numbers.iter().map(|held| shard.arena.get(held.1).len()).sum();
    assert!(shard.arena.bytes() < 2 * held + 4_096, "{} bytes for {held}", shard.arena.bytes());
}
