//! The tables beside a plain map: whatever comes and goes, each subject has its own bytes.

use super::*;
use kith_domain::NhsNumber;
use kith_domain::codes::OdsCode;
use kith_domain::text::LocalKey;
use std::collections::BTreeMap;

fn number(n: u32) -> Subject {
    Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
}

fn local(n: u32) -> Subject {
    Subject::Local(OdsCode::parse("R1H").unwrap(), LocalKey::parse(&format!("L{n}")).unwrap())
}

#[test]
fn bytes_come_and_go_as_in_a_plain_map() {
    for shards in [Shards::default(), Shards::of(1)] {
        let mut expected: BTreeMap<Subject, Box<[u8]>> = BTreeMap::new();
        let mut dice = 7_u64;
        for round in 0..30_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (who, what) = ((dice >> 33) as u32 % 200, (dice >> 50) as usize);
            let subject = if who < 150 { number(who) } else { local(who) };
            if what.is_multiple_of(4) {
                assert_eq!(shards.take(&subject), expected.remove(&subject));
            } else {
                let new = vec![round as u8; what % 400].into_boxed_slice();
                assert_eq!(shards.put(&subject, &new), expected.insert(subject, new));
            }
        }
        for subject in (0..200).flat_map(|n| [number(n), local(n)]) {
            assert_eq!(shards.read(&subject).map(|found| found.0), expected.get(&subject).cloned());
        }
        assert!(!expected.is_empty());
    }
}

#[test]
fn every_publication_has_a_stamp_of_its_own() {
    let (shards, subject) = (Shards::of(1), number(1));
    let mut known = std::collections::BTreeSet::new();
    for n in 0..5_000 {
        assert_eq!(shards.read(&subject).is_none(), n == 0 || n % 3 == 1, "before {n}");
        shards.put(&subject, &[7; 60]);
        let (_, stamp) = shards.read(&subject).unwrap();
        assert!(known.insert(format!("{stamp:?}")), "publication {n}");
        if n % 3 == 0 {
            shards.take(&subject);
        }
    }
}

#[test]
fn another_persons_bytes_leave_the_stamp_as_it_is() {
    let shards = Shards::of(1);
    shards.put(&number(1), &[1]);
    let before = shards.read(&number(1)).unwrap().1;
    for n in 2..2_000 {
        shards.put(&number(n), &[1]);
    }
    assert_eq!(shards.read(&number(1)).unwrap().1, before);
}

#[test]
fn what_was_replaced_does_not_pile_up() {
    let shards = Shards::of(1);
    for round in 0..20_000 {
        shards.put(&number(round % 100), &[7; 60]);
    }
    let shard = shards.shards[0].read().unwrap();
    assert!(shard.arena.bytes() < 2 * 100 * 61, "{} bytes for 6,100", shard.arena.bytes());
}
