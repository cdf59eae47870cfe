//! References of answers about shielded children: they lead back under their own key alone, tell no order, and survive being read
//! out over a telephone.

use std::collections::BTreeSet;

use super::*;
use crate::keys::Keys;

fn entry(sequence: u64) -> AuditRef {
    AuditRef { journal: 1, sequence }
}

fn keys() -> Keys {
    Keys::from_master([7; 32])
}

#[test]
fn a_reference_never_changes() {
    let keys = keys();
    // Worked out apart from this code.
    for (sequence, text) in
        [(1, "T5HMSB40CTRCHT"), (2, "S8X5XZSC7PHT63"), (4_711, "38Z2GM914572YD"), (999_999_999_999, "2965TKRYZYGS0C")]
    {
        assert_eq!(keys.answer_ref(entry(sequence)).text(), text);
        assert_eq!(
            text.parse::<AnswerRef>().ok().and_then(|reference| keys.answered_by(reference)),
            Some(entry(sequence))
        );
    }
}

#[test]
fn it_leads_back_to_its_entry_under_its_own_key_alone() {
    let (keys, others) = (keys(), Keys::from_master([8; 32]));
    for sequence in (1..2_000).chain([999_999_999_999, NUMBER_MASK]) {
        let reference = keys.answer_ref(entry(sequence));
        assert_eq!(keys.answered_by(reference), Some(entry(sequence)));
        assert_eq!(others.answered_by(reference), None, "{sequence}");
        assert_eq!(reference.text().parse::<AnswerRef>(), Ok(reference));
    }
    // A number beyond what it can hold leads nowhere, and to no other entry.
    assert_eq!(keys.answered_by(keys.answer_ref(entry(NUMBER_MASK + 2))), None);
}

#[test]
fn what_was_misread_leads_nowhere() {
    let keys = keys();
    for sequence in 1..200 {
        let text = keys.answer_ref(entry(sequence)).text();
        for place in 0..text.len() {
            let mut letters: Vec<char> = text.chars().collect();
            letters[place] = if letters[place] == '7' { 'Q' } else { '7' };
            let misread: AnswerRef = letters.into_iter().collect::<String>().parse().unwrap();
            assert_eq!(keys.answered_by(misread), None, "{sequence} at {place}");
        }
    }
}

/// Neither the order nor that two follow each other can be seen: half of the bits differ, wherever they stand.
#[test]
fn it_tells_no_order() {
    let keys = keys();
    let all: Vec<u128> = (1..=2_000).map(|sequence| keys.answer_ref(entry(sequence)).0).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let rising = all.windows(2).filter(|two| two[0] < two[1]).count();
    assert!((900..1_100).contains(&rising), "{rising} of 1999 rise");
    for bit in 0..LENGTH * SYMBOL_BITS {
        let changed = all.windows(2).filter(|two| ((two[0] ^ two[1]) >> bit) & 1 == 1).count();
        assert!((850..1_150).contains(&changed), "bit {bit} changes {changed} times of 1999");
    }
}

#[test]
fn it_is_as_long_as_an_audit_reference_and_never_read_as_one() {
    let keys = keys();
    for sequence in [1, 4_711, 999_999_999_999] {
        let reference = keys.answer_ref(entry(sequence)).text();
        assert_eq!(reference.len(), entry(sequence).text().len());
        assert!(reference.parse::<AuditRef>().is_err());
        assert!(entry(sequence).text().parse::<AnswerRef>().is_err());
    }
}

#[test]
fn it_is_read_as_it_is_heard() {
    let reference: AnswerRef = "01AB2XBD9F4TH3".parse().unwrap();
    for heard in ["o1ab 2xbd 9f4t h3", "Ol AB-2XBD-9F4T-H3", "0iAB2XBD9F4TH3"] {
        assert_eq!(heard.parse::<AnswerRef>(), Ok(reference), "{heard}");
    }
    for odd in ["", "01AB2XBD9F4TH", "01AB2XBD9F4TH33", "01AB2XBD9F4TU3", "01AB2XBD9F4T\u{c9}3", "1-000000004711"] {
        assert_eq!(odd.parse::<AnswerRef>(), Err(AnswerRefError), "{odd}");
    }
}
