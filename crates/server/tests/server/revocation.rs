//! Revocation lists: who is shut out, and which files never come into force.

use std::fs;
use std::path::Path;

use kith_server::config::ExpiredLists;
use kith_server::tls::{Part, TlsState};
use tonic::Code;

use crate::authority::{Authority, LASTING, Pair, Years, look_at};
use crate::harness::{ED, LA, LIST, TestServer, call, client};

/// A list that has expired long ago.
const PAST: Years = (2020, 2021);

/// An authority with one certificate that stands and one that is revoked.
fn with_revoked(years: Years) -> (Authority, Pair, Pair, String) {
    let authority = Authority::new();
    let (standing, revoked) = (authority.client(&[ED]), authority.client(&[LA]));
    let list = authority.list(&[revoked.serial], years);
    (authority, standing, revoked, list)
}

#[test]
fn a_new_list_shuts_out_whom_it_names_and_nobody_else() {
    let authority = Authority::new();
    let (standing, revoked) = (authority.client(&[ED]), authority.client(&[LA]));
    let empty = authority.list(&[], LASTING);
    let server = TestServer::with_list(authority, &empty, |_| {});
    client(async {
        assert!(server.takes(Some(&standing)).await && server.takes(Some(&revoked)).await);
        fs::write(server.path(LIST), server.authority.list(&[revoked.serial], (2021, 2999))).unwrap();
        server.tls.reload().unwrap();
        assert!(server.takes(Some(&standing)).await);
        assert!(!server.takes(Some(&revoked)).await, "a revoked certificate was taken");
    });
}

#[test]
fn a_bad_list_keeps_the_one_in_force_and_hinders_nothing_else() {
    let (authority, standing, revoked, list) = with_revoked(LASTING);
    let server = TestServer::with_list(authority, &list, |_| {});
    let cut = &list[..list.len() / 2];
    let mut forged = list.clone();
    // Within the signature, which ends the list.
    let within = list.len() - "-----END X509 CRL-----\n".len() - 40;
    let at = (0..within).rev().find(|at| list.as_bytes()[*at].is_ascii_alphanumeric()).unwrap();
    forged.replace_range(at..=at, if &list[at..=at] == "A" { "B" } else { "A" });
    let others = Authority::named("another").list(&[], (2021, 2999));
    let bad = [
        ("no list", String::from("nothing")),
        ("nothing at all", String::new()),
        ("no DER", String::from("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")),
        ("cut short", cut.to_owned()),
        ("another authority's", others.clone()),
        ("in the authority's name, by another", Authority::new().list(&[], (2021, 2999))),
        ("a flipped letter", forged),
        ("an older one", server.authority.list(&[], (2019, 2999))),
    ];
    client(async {
        for (name, content) in bad {
            fs::write(server.path(LIST), content).unwrap();
            server.authority.server().write(&server.path("server.pem"), &server.path("server.key"));
            let before = server.tls.expires_s(Part::RevocationLists);
            assert!(server.tls.reload().is_err(), "{name}");
            assert_eq!(server.tls.failed(), [Part::RevocationLists], "{name}");
            assert_eq!(server.tls.expires_s(Part::RevocationLists), before, "{name}");
            assert!(server.takes(Some(&standing)).await, "{name} shut out who stands");
            assert!(!server.takes(Some(&revoked)).await, "{name} let in who is revoked");
        }
        // The other's has come into force meanwhile.
        fs::write(server.path(LIST), format!("{}{others}", server.authority.list(&[], (2021, 2999)))).unwrap();
        server.tls.reload().unwrap();
        assert_eq!(server.tls.failed(), []);
        assert!(server.takes(Some(&revoked)).await, "a newer list may take a revocation back");
    });
}

#[test]
fn of_a_directory_the_newest_list_of_each_authority_counts() {
    let (authority, standing, revoked, newer) = with_revoked((2022, 2999));
    let older = authority.list(&[], LASTING);
    let server = TestServer::started(authority, |config, dir| {
        let lists = dir.join("lists");
        fs::create_dir(&lists).unwrap();
        for (name, content) in [("a.pem", &older), ("b.crl", &newer), ("c.pem", &older)] {
            fs::write(lists.join(name), content).unwrap();
        }
        fs::write(lists.join("README"), "no list, and no file of lists").unwrap();
        config.tls.client_crls = lists;
    })
    .opened();
    client(async {
        assert!(server.takes(Some(&standing)).await);
        assert!(!server.takes(Some(&revoked)).await);
        fs::write(server.path("lists/d.pem"), "no list").unwrap();
        assert!(server.tls.reload().is_err());
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
    });
}

#[test]
fn an_expired_list_is_used_or_refuses_all_as_configured() {
    for (expired, others) in [(ExpiredLists::Accept, true), (ExpiredLists::Refuse, false)] {
        let (authority, standing, revoked, list) = with_revoked(PAST);
        let server = TestServer::with_list(authority, &list, |config| config.tls.crl_expired = expired);
        client(async {
            assert_eq!(server.takes(Some(&standing)).await, others, "{expired:?}");
            assert!(!server.takes(Some(&revoked)).await, "{expired:?}");
        });
        let new_year_2021 = 1_609_459_200;
        assert_eq!(server.tls.expires_s(Part::RevocationLists), Some(new_year_2021));
    }
}

#[test]
fn each_authority_needs_a_list_before_it_comes_into_force() {
    let (authority, standing, revoked, list) = with_revoked(LASTING);
    let server = TestServer::with_list(authority, &list, |_| {});
    let other = Authority::named("another");
    let newcomer = other.client(&[ED]);
    client(async {
        fs::write(server.path("clients.pem"), format!("{}{}", server.authority.pem, other.pem)).unwrap();
        let said = server.tls.reload().unwrap_err()[0].to_string();
        assert!(said.contains("found none of authority 2"), "{said}");
        assert_eq!(server.tls.failed(), [Part::ClientAuthorities]);
        assert!(server.takes(Some(&standing)).await && !server.takes(Some(&newcomer)).await);

        fs::write(server.path(LIST), format!("{list}{}", other.list(&[], LASTING))).unwrap();
        server.tls.reload().unwrap();
        assert!(server.takes(Some(&standing)).await && server.takes(Some(&newcomer)).await);
        assert!(!server.takes(Some(&revoked)).await);
    });
}

#[test]
fn an_issuer_whose_list_goes_missing_keeps_it() {
    let (authority, standing, revoked, list) = with_revoked(LASTING);
    let between = Authority::named("between").list(&[], LASTING);
    let server = TestServer::with_list(authority, &format!("{list}{between}"), |_| {});
    client(async {
        fs::write(server.path(LIST), &list).unwrap();
        let said = server.tls.reload().unwrap_err()[0].to_string();
        assert!(said.contains("has none here"), "{said}");
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert!(server.takes(Some(&standing)).await && !server.takes(Some(&revoked)).await);
        fs::write(server.path(LIST), format!("{between}{list}")).unwrap();
        server.tls.reload().unwrap();
        assert_eq!(server.tls.failed(), []);
    });
}

#[test]
fn a_bad_file_of_authorities_does_not_hold_up_a_new_list() {
    let authority = Authority::new();
    let revoked = authority.client(&[ED]);
    let empty = authority.list(&[], LASTING);
    let server = TestServer::with_list(authority, &empty, |_| {});
    client(async {
        fs::write(server.path("clients.pem"), "no certificate").unwrap();
        fs::write(server.path(LIST), server.authority.list(&[revoked.serial], (2021, 2999))).unwrap();
        assert!(server.tls.reload().is_err());
        assert_eq!(server.tls.failed(), [Part::ClientAuthorities]);
        assert!(!server.takes(Some(&revoked)).await);
    });
}

#[test]
fn a_start_with_a_bad_list_is_refused() {
    let (authority, _, _, list) = with_revoked(LASTING);
    let server = TestServer::with_list(authority, &list, |_| {});
    let mut files = kith_server::config::Tls {
        certificate: server.path("server.pem"),
        key: server.path("server.key"),
        client_ca: server.path("clients.pem"),
        client_crls: server.path(LIST),
        ..kith_server::config::Tls::default()
    };
    assert!(TlsState::load(files.clone(), "kith.test").is_ok());
    fs::write(server.path(LIST), "no list").unwrap();
    assert!(TlsState::load(files.clone(), "kith.test").is_err());
    assert_eq!(kith_server::tls::faults(&files, "kith.test").len(), 1);
    files.client_crls = server.path("nowhere.pem");
    assert!(TlsState::load(files, "kith.test").is_err());
}

/// Two places of lists, as where an authority shares its certificates out over several.
const ONE: Option<&str> = Some("http://one.example/");
const OTHER: Option<&str> = Some("http://other.example/");

/// Holds `who` to be taken or not, whichever of the two lists comes first in the directory.
fn in_any_order(authority: Authority, lists: &[String; 2], expired: ExpiredLists, who: &[(&str, &Pair, bool)]) {
    let write = |directory: &Path, names: [&str; 2]| {
        names.iter().zip(lists).for_each(|(name, list)| fs::write(directory.join(name), list).unwrap());
    };
    let orders = [["a.pem", "b.pem"], ["b.pem", "a.pem"]];
    let server = TestServer::started(authority, |config, dir| {
        config.tls.client_crls = dir.join("lists");
        config.tls.crl_expired = expired;
        fs::create_dir(&config.tls.client_crls).unwrap();
        write(&config.tls.client_crls, orders[0]);
    })
    .opened();
    client(async {
        for names in orders {
            write(&server.path("lists"), names);
            server.tls.reload().unwrap();
            for (name, pair, taken) in who {
                assert_eq!(server.takes(Some(pair)).await, *taken, "{name}, the lists as {names:?}");
            }
        }
    });
}

#[test]
fn no_order_of_lists_lets_in_whom_one_of_them_revokes() {
    type Both = fn(&Authority, &[u64]) -> [String; 2];
    let cases: [(&str, Both); 3] = [
        ("about all, and later about some", |authority, numbers| {
            [authority.list(&[], LASTING), authority.list_at(ONE, numbers, (2021, 2999))]
        }),
        ("about some, and about others", |authority, numbers| {
            [authority.list_at(OTHER, &[], LASTING), authority.list_at(ONE, numbers, LASTING)]
        }),
        ("two of one second", |authority, numbers| {
            [authority.list(numbers, LASTING), authority.list(&[], (2020, 2998))]
        }),
    ];
    for (name, lists) in cases {
        println!("{name}");
        let authority = Authority::new();
        let (standing, revoked) = (authority.client(&[ED]), authority.client(&[LA]));
        let told =
            authority.issue(&[LA], |params| params.crl_distribution_points = vec![look_at("http://one.example/")]);
        let lists = lists(&authority, &[revoked.serial, told.serial]);
        let who = [("standing", &standing, true), ("revoked", &revoked, false), ("told of one place", &told, false)];
        in_any_order(authority, &lists, ExpiredLists::Accept, &who);
    }
}

#[test]
fn a_later_list_about_all_overtakes_those_about_some() {
    let authority = Authority::new();
    let released = authority.client(&[ED]);
    let lists = [authority.list_at(ONE, &[released.serial], LASTING), authority.list(&[], (2021, 2999))];
    in_any_order(authority, &lists, ExpiredLists::Accept, &[("released", &released, true)]);
}

#[test]
fn where_an_expired_list_refuses_no_other_that_has_not_expired_hides_it() {
    for (expired, taken) in [(ExpiredLists::Refuse, false), (ExpiredLists::Accept, true)] {
        let authority = Authority::new();
        let pair = authority.client(&[ED]);
        let lists = [authority.list_at(ONE, &[], LASTING), authority.list_at(OTHER, &[], PAST)];
        in_any_order(authority, &lists, expired, &[("under two lists", &pair, taken)]);
    }
}

#[test]
fn no_list_of_another_scope_takes_back_what_those_in_force_revoke() {
    let (authority, standing, revoked, list) = with_revoked((2022, 2999));
    let server = TestServer::with_list(authority, &list, |_| {});
    let at = |place, revoked: &[u64], from| server.authority.list_at(place, revoked, (from, 2999));
    client(async {
        for (name, content) in [
            ("older", at(ONE, &[], 2021)),
            ("newer, and does not name it", at(ONE, &[], 2023)),
            ("one of several", format!("{}{}", at(ONE, &[], 2023), at(OTHER, &[], 2023))),
        ] {
            fs::write(server.path(LIST), content).unwrap();
            assert_eq!(server.tls.reload().map_err(|errors| errors.len()), Err(1), "{name}");
            assert_eq!(server.tls.failed(), [Part::RevocationLists], "{name}");
            assert!(server.takes(Some(&standing)).await, "{name} shut out who stands");
            assert!(!server.takes(Some(&revoked)).await, "{name} let in who is revoked");
        }
        let shared_out = format!("{}{}", at(ONE, &[], 2023), at(OTHER, &[revoked.serial], 2023));
        for (name, content, taken) in [
            ("shared out over two", shared_out, false),
            ("again about all, which may take it back", at(None, &[], 2024), true),
        ] {
            fs::write(server.path(LIST), content).unwrap();
            server.tls.reload().unwrap();
            assert_eq!(server.takes(Some(&revoked)).await, taken, "{name}");
            assert!(server.takes(Some(&standing)).await, "{name}");
        }
    });
}

#[test]
fn a_list_that_no_authority_of_its_name_signed_never_takes_the_place_of_its_own() {
    let root = Authority::new();
    let between = root.below("between", |_| {});
    let (standing, revoked) = (between.client(&[ED]), between.client(&[LA]));
    // Each says that it is by the same key.
    let by_words = |by: &Authority, revoked: &[u64], years| {
        by.list_by(rcgen::KeyIdMethod::PreSpecified(vec![7; 20]), None, revoked, years)
    };
    let (of_root, own) = (root.list(&[], LASTING), by_words(&between, &[], LASTING));
    let server = TestServer::with_list(root, &format!("{of_root}{own}"), |_| {});
    let forged = by_words(&Authority::named("between"), &[standing.serial], (2024, 2999));
    let in_the_name_of_root = Authority::new().list(&[standing.serial], (2024, 2999));
    client(async {
        assert!(
            server.takes(Some(&standing)).await && server.takes(Some(&revoked)).await,
            "nobody is connected any more"
        );
        let newer = by_words(&between, &[revoked.serial], (2021, 2999));
        for (content, why, taken) in [
            (format!("{of_root}{own}{forged}"), "did not sign it", true),
            (format!("{of_root}{forged}"), "has none here", true),
            (format!("{of_root}{newer}{forged}"), "did not sign it", false),
            (format!("{in_the_name_of_root}{of_root}{newer}{forged}"), "did not sign it", false),
        ] {
            fs::write(server.path(LIST), content).unwrap();
            let said: Vec<String> = server.tls.reload().unwrap_err().iter().map(ToString::to_string).collect();
            assert!(said.iter().any(|said| said.contains(why)), "{said:?}");
            assert_eq!(server.tls.failed(), [Part::RevocationLists]);
            assert!(server.takes(Some(&standing)).await, "a list that anybody could write shut out a hospital");
            assert_eq!(server.takes(Some(&revoked)).await, taken, "what others revoke does not wait");
        }
        fs::write(server.path(LIST), format!("{of_root}{newer}")).unwrap();
        server.tls.reload().unwrap();
        assert_eq!(server.tls.failed(), []);
        assert!(server.takes(Some(&standing)).await && !server.takes(Some(&revoked)).await);
    });
}

#[test]
fn a_foreign_list_that_was_there_at_the_start_is_told_of_and_gives_way_whatever_its_date() {
    let root = Authority::new();
    let between = root.below("between", |_| {});
    let (below, of_root) = (between.client(&[ED]), root.list(&[], LASTING));
    let forged = Authority::named("between").list(&[], (2024, 2999));
    let server = TestServer::with_list(root, &format!("{of_root}{forged}"), |_| {});
    client(async {
        assert_eq!(server.tls.failed(), [], "nobody can know yet whose it is");
        assert!(!server.takes(Some(&below)).await);
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert!(server.tls.reload().is_err(), "the same again");
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        fs::write(server.path(LIST), format!("{of_root}{}", between.list(&[], LASTING))).unwrap();
        server.tls.reload().unwrap();
        assert_eq!(server.tls.failed(), []);
        assert!(server.takes(Some(&below)).await);
    });
}

#[test]
fn no_list_comes_into_force_that_shuts_out_who_is_connected_and_not_revoked() {
    let authority = Authority::new();
    let told = authority.issue(&[ED], |params| params.crl_distribution_points = vec![look_at("http://one.example/")]);
    let [here, elsewhere] =
        [(ONE, LASTING), (OTHER, (2021, 2999))].map(|(at, years)| authority.list_at(at, &[], years));
    let server = TestServer::with_list(authority, &here, |_| {});
    client(async {
        let open = server.connect(&told).await.unwrap();
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
        // Nothing was revoked, so nothing is taken back; but no list tells of this certificate any more.
        fs::write(server.path(LIST), &elsewhere).unwrap();
        let said = server.tls.reload().unwrap_err()[0].to_string();
        assert!(said.contains("connected"), "{said}");
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok, "it was cut off by a list that does not name it");
        drop(open);
        while server.tls.connected() > 0 {
            tokio::task::yield_now().await;
        }
        server.tls.try_again();
        assert_eq!(server.tls.failed(), [Part::RevocationLists], "it came into force by itself once they had gone");
        assert!(server.takes(Some(&told)).await);
        while server.tls.reload().is_err() {
            tokio::task::yield_now().await;
        }
        assert!(!server.takes(Some(&told)).await, "a person reloads it");
    });
}

#[test]
fn a_list_that_names_who_is_connected_comes_into_force_whatever_the_order_of_authorities_and_the_scope() {
    let place = |params: &mut rcgen::CertificateParams| {
        params.crl_distribution_points = vec![look_at("http://one.example/")];
    };
    for is_old_first in [true, false] {
        let [old, new] = ["authority", "authority"].map(Authority::named);
        let (by_old, by_new, told) = (old.client(&[ED]), new.client(&[LA]), old.issue(&[ED], place));
        let (pems, here) = ([old.pem.clone(), new.pem.clone()], old.list_at(ONE, &[], LASTING));
        let elsewhere = old.list_at(OTHER, &[by_old.serial, told.serial], (2021, 2999));
        let (empty, named) = (new.list(&[], LASTING), new.list(&[by_new.serial], (2021, 2999)));
        let server = TestServer::started(old, |config, dir| {
            config.tls.client_crls = dir.join(LIST);
            fs::write(&config.tls.client_crls, format!("{here}{empty}")).unwrap();
            let [first, second] = if is_old_first { [0, 1] } else { [1, 0] };
            fs::write(dir.join("clients.pem"), format!("{}{}", pems[first], pems[second])).unwrap();
        })
        .opened();
        client(async {
            for (name, pair, lists) in [
                ("of one authority", &by_new, format!("{here}{named}")),
                ("told of a place whose list is gone", &told, format!("{elsewhere}{named}")),
            ] {
                let open = server.connect(pair).await.unwrap();
                assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok, "{name}, {is_old_first}");
                fs::write(server.path(LIST), lists).unwrap();
                server.tls.reload().unwrap();
                assert_ne!(call(&open, "Who", &[]).await.code(), Code::Ok, "{name}, {is_old_first}");
            }
            assert!(!server.takes(Some(&by_old)).await && !server.takes(Some(&by_new)).await);
        });
    }
}

/// As where an authority between changes its key: its list is there before anybody has shown a certificate of the new one.
#[test]
fn a_list_of_a_key_that_nobody_has_shown_yet_waits_alone_and_comes_into_force_by_itself() {
    let root = Authority::new();
    let [old, new] = ["between", "between"].map(|name| root.below(name, |_| {}));
    let (of_root, revoking) = (root.list(&[], LASTING), root.client(&[LA]));
    let (before, after) = (old.client(&[ED]), new.client(&[ED]));
    let of_root_later = root.list(&[revoking.serial], (2021, 2999));
    let [of_old, of_new] = [&old, &new].map(|between| between.list(&[], LASTING));
    let server = TestServer::with_list(root, &format!("{of_root}{of_old}"), |_| {});
    client(async {
        assert!(server.takes(Some(&before)).await && server.takes(Some(&revoking)).await);
        fs::write(server.path(LIST), format!("{of_root_later}{of_old}{of_new}")).unwrap();
        assert!(server.tls.reload().is_err());
        assert!(!server.takes(Some(&revoking)).await && server.takes(Some(&before)).await);
        // The first shows who it is, and is let in once the list is in force.
        assert!(!server.takes(Some(&after)).await);
        assert!(server.tls.try_again().is_empty());
        assert_eq!(server.tls.failed(), []);
        assert!(server.takes(Some(&after)).await && server.takes(Some(&before)).await);
    });
}

/// As where an authority's program changes.
#[test]
fn a_list_that_calls_its_key_otherwise_takes_the_place_of_the_one_before() {
    let authority = Authority::new();
    let (standing, revoked) = (authority.client(&[ED]), authority.client(&[LA]));
    let before = authority.list(&[], (2021, 2999));
    let server = TestServer::with_list(authority, &before, |_| {});
    let otherwise = |revoked: &[u64], from| {
        let words = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]);
        server.authority.list_by(words, None, revoked, (from, 2999))
    };
    client(async {
        fs::write(server.path(LIST), otherwise(&[], 2020)).unwrap();
        let said = server.tls.reload().unwrap_err()[0].to_string();
        assert!(said.contains("older"), "{said}");
        let later = otherwise(&[revoked.serial], 2022);
        // The one before need not be removed, nor may it be put back alone.
        for content in [later.clone(), format!("{before}{later}"), later] {
            fs::write(server.path(LIST), content).unwrap();
            server.tls.reload().unwrap();
            assert!(server.takes(Some(&standing)).await && !server.takes(Some(&revoked)).await);
        }
        fs::write(server.path(LIST), &before).unwrap();
        assert!(server.tls.reload().is_err());
        assert!(server.takes(Some(&standing)).await && !server.takes(Some(&revoked)).await);
    });
}

/// As where an authority is renewed with a new key: each key has a list of its own, under the same name.
#[test]
fn an_authority_that_changes_its_key_and_keeps_its_name_has_both_lists_for_a_while() {
    let [old, new] = ["authority", "authority"].map(Authority::named);
    let between = ["between", "between"].map(|name| old.below(name, |_| {}));
    let clients = [&old, &new, &between[0], &between[1]].map(|by| [by.client(&[ED]), by.client(&[LA])]);
    let lists: Vec<String> = [&old, &new, &between[0], &between[1]]
        .iter()
        .zip(&clients)
        .map(|(by, [_, revoked])| by.list(&[revoked.serial], LASTING))
        .collect();
    let (first, pems) = ([&lists[0][..], &lists[2]].concat(), [old.pem.clone(), new.pem.clone()]);
    let server = TestServer::with_list(old, &first, |_| {});
    client(async {
        fs::write(server.path("clients.pem"), pems.concat()).unwrap();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            fs::write(server.path(LIST), order.map(|at| lists[at].as_str()).concat()).unwrap();
            server.tls.reload().unwrap();
            for (number, [standing, revoked]) in clients.iter().enumerate() {
                assert!(server.takes(Some(standing)).await, "{number} in the order {order:?}");
                assert!(!server.takes(Some(revoked)).await, "{number} in the order {order:?}");
            }
        }
        // The old one goes, though its lists are forgotten.
        fs::write(server.path("clients.pem"), &pems[1]).unwrap();
        assert!(server.tls.reload().is_err());
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert!(!server.takes(Some(&clients[0][0])).await && server.takes(Some(&clients[1][0])).await);
        fs::write(server.path(LIST), lists[1..].concat()).unwrap();
        server.tls.reload().unwrap();
        for (number, [standing, _]) in clients.iter().enumerate() {
            assert_eq!(server.takes(Some(standing)).await, number == 1, "{number} when the old one has gone");
        }
        assert!(!server.takes(Some(&clients[1][1])).await);
    });
}
