//! What is counted together, and when it is told.

mod running;

use super::*;

fn peer(organisation: &str) -> PeerIdentity {
    PeerIdentity { organisation: organisation.to_owned(), role: Role::Ed }
}

fn counts(edge: &Edge) -> Vec<(Kind, u64)> {
    edge.counted().iter().map(|(kind, burst)| (*kind, burst.count)).collect()
}

#[test]
fn a_burst_is_one_entry_for_each_organisation_call_and_reason() {
    let edge = Edge::default();
    for at in 0..1_000 {
        edge.refused(&peer("R1H"), Some(Method::Lookup), "MALFORMED_MESSAGE", Moment(at));
    }
    edge.refused(&peer("R1H"), Some(Method::Lookup), "MESSAGE_TOO_LARGE", Moment(7));
    edge.refused(&peer("RRK"), None, "UNKNOWN_METHOD", Moment(8));
    assert_eq!(counts(&edge).iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1_000, 1, 1]);
    let (kind, burst) = edge.counted().iter().next().map(|(kind, burst)| (*kind, *burst)).unwrap();
    let found = entry(kind, burst);
    let code = RefusalCode::of("MALFORMED_MESSAGE");
    let (first, last) = (Moment(0), Moment(999));
    assert_eq!(found.decision, Decision::RefusedMany { code, count: 1_000, first, last });
    assert_eq!((found.at, found.method, found.role), (last, Some(Method::Lookup), Some(Role::Ed)));
    let unknown = counts(&edge).pop().unwrap().0.unwrap();
    assert_eq!((unknown.0.to_string().as_str(), unknown.2), ("RRK", None));
}

#[test]
fn a_call_is_known_by_its_path_and_a_refusal_by_its_reason() {
    let edge = Edge::default();
    for (path, method) in [
        ("/kith.v1.LookupService/Lookup", Some(Method::Lookup)),
        ("/kith.v1.LookupService/Guess", None),
        ("/grpc.health.v1.Health/Check", None),
    ] {
        let asking = Asking::new(&edge, &Arc::new(peer("R1H")), &Uri::from_static(path));
        asking.refused(&crate::refusal::overloaded());
        let kind = (OdsCode::parse("R1H").unwrap(), Role::Ed, method, RefusalCode::of("OVERLOADED"));
        assert!(counts(&edge).iter().any(|(found, _)| *found == Some(kind)), "{path}");
    }
}

#[test]
fn what_the_audit_does_not_take_is_counted_on_until_it_does() {
    let edge = Edge::default();
    let refuse = |organisation: &str, at| {
        edge.refused(&peer(organisation), Some(Method::Lookup), "AUDIT_UNAVAILABLE", Moment(at));
    };
    ["R1H", "RRK", "RX1"].iter().for_each(|organisation| refuse(organisation, 1));
    let mut asked = 0;
    edge.hand(|_| {
        asked += 1;
        asked == 1
    });
    assert_eq!(asked, 2, "the third is not tried once the second was not taken");
    refuse("RRK", 5);
    let mut told = Vec::new();
    edge.hand(|entry| {
        let Decision::RefusedMany { code, count, first, last } = entry.decision else { return false };
        assert_eq!(code, RefusalCode::of("AUDIT_UNAVAILABLE"));
        told.push((entry.organisation.map(|code| code.to_string()), count, first, last));
        true
    });
    let expected = [("RRK", 2, Moment(1), Moment(5)), ("RX1", 1, Moment(1), Moment(1))];
    assert_eq!(told, expected.map(|(code, count, first, last)| (Some(code.to_owned()), count, first, last)));
    assert!(counts(&edge).is_empty(), "each is told once");
}

#[test]
fn kinds_are_bounded_and_none_is_lost() {
    let edge = Edge::default();
    for n in 0..KINDS + 10 {
        edge.refused(&peer(&format!("T{n:04}")), None, "UNKNOWN_METHOD", Moment(1));
    }
    let counts = counts(&edge);
    assert_eq!(counts.len(), KINDS + 1);
    assert_eq!(counts[0], (None, 10));
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), KINDS as u64 + 10);
}
