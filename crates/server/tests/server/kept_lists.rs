//! Revocation lists of which one is bad, old or gone: it stays as it was, and keeps out nothing that the others revoke.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kith_server::tls::{KeptList, Part};
use rcgen::KeyIdMethod;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateRevocationListDer, UnixTime};
use tonic::Code;

use crate::authority::{Authority, LASTING, Pair, Years, look_at};
use crate::harness::{ED, LA, LIST, TestServer, call, client};

/// Newer than whatever is in force from the start on.
const LATER: Years = (2021, 2999);

/// A root and an authority between, each with a file of its own in a directory.
struct Ground {
    server: TestServer,
    between: Authority,
    /// Of the authority between: one that stands, and one that its list in force revokes.
    standing: Pair,
    revoked: Pair,
}

impl Ground {
    fn new() -> Self {
        let root = Authority::new();
        let between = root.below("between", |_| {});
        let (standing, revoked) = (between.client(&[ED]), between.client(&[LA]));
        let lists = [("root.pem", root.list(&[], LASTING)), ("between.pem", between.list(&[revoked.serial], LASTING))];
        let server = TestServer::started(root, |config, dir| {
            config.tls.client_crls = dir.join("lists");
            fs::create_dir(&config.tls.client_crls).unwrap();
            for (name, list) in lists {
                fs::write(config.tls.client_crls.join(name), list).unwrap();
            }
        })
        .opened();
        Self { server, between, standing, revoked }
    }

    fn write(&self, name: &str, lists: &str) {
        fs::write(self.server.path("lists").join(name), lists).unwrap();
    }

    /// Reloads what cannot be used in full; what was said.
    fn refused(&self, name: &str) -> String {
        let said = self.server.tls.reload().expect_err(name);
        assert_eq!(self.server.tls.failed(), [Part::RevocationLists], "{name}");
        said.iter().map(|error| format!("{error}\n")).collect()
    }

    fn kept(&self) -> Vec<(String, String)> {
        let kept = self.server.tls.kept_lists().into_iter();
        kept.map(|KeptList { file, issuer }| (file.rsplit('/').next().unwrap().to_owned(), issuer)).collect()
    }

    /// Whatever is done to the list of the authority between.
    async fn holds(&self, name: &str, gone: &Pair) {
        assert!(self.server.takes(Some(&self.standing)).await, "{name}: who stands was shut out");
        assert!(!self.server.takes(Some(&self.revoked)).await, "{name}: a list was taken back");
        assert!(!self.server.takes(Some(gone)).await, "{name}: what another authority revokes waits");
    }
}

/// The name of the authority between, as it is shown.
const BETWEEN: &str = "CN=between";

fn between_is_kept() -> Vec<(String, String)> {
    vec![(String::from("between.pem"), String::from(BETWEEN))]
}

/// A list that can be read and that no verifier takes: its number is called what only a difference to another list has.
fn delta(list: &str) -> String {
    let mut der = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).unwrap().to_vec();
    let number = [0x55, 0x1d, 0x14];
    let at = der.windows(3).rposition(|found| found == number).unwrap();
    der[at + 2] = 0x1b;
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", STANDARD.encode(der))
}

#[test]
fn a_bad_file_of_one_authority_keeps_its_list_in_force_and_nobody_elses_out() {
    let ground = Ground::new();
    let (server, between) = (&ground.server, &ground.between);
    let newer = between.list(&[ground.revoked.serial], LATER);
    let bad = [
        ("nothing", Some(String::new())),
        ("no list", Some(String::from("<html>the server is being mended</html>"))),
        ("no DER", Some(String::from("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))),
        ("cut short", Some(newer[..newer.len() / 2].to_owned())),
        ("older", Some(between.list(&[], (2019, 2999)))),
        ("another's in its name", Some(Authority::named("between").list(&[], LATER))),
        ("none that a verifier takes", Some(delta(&newer))),
        ("gone", None),
    ];
    let gone: Vec<Pair> = bad.iter().map(|_| server.authority.client(&[LA])).collect();
    client(async {
        assert!(server.takes(Some(&ground.standing)).await, "which shows who is between");
        for (number, (name, content)) in bad.iter().enumerate() {
            assert!(server.takes(Some(&gone[number])).await, "{name}");
            match content {
                Some(content) => ground.write("between.pem", content),
                None => fs::remove_file(server.path("lists/between.pem")).unwrap(),
            }
            let serials: Vec<u64> = gone[..=number].iter().map(|pair| pair.serial).collect();
            ground.write("root.pem", &server.authority.list(&serials, LATER));
            let said = ground.refused(name);
            assert!(said.contains("lists/between.pem") && said.contains(BETWEEN), "{name}: {said}");
            assert_eq!(ground.kept(), between_is_kept(), "{name}");
            ground.holds(name, &gone[number]).await;
            assert!(server.tls.try_again().is_empty(), "{name}: it was said");
            assert_eq!(
                (ground.kept(), server.tls.failed()),
                (between_is_kept(), vec![Part::RevocationLists]),
                "{name}"
            );
        }
        ground.write("between.pem", &newer);
        assert!(server.tls.try_again().is_empty());
        assert_eq!((server.tls.failed(), ground.kept()), (vec![], vec![]));
    });
}

/// As where every authority's list is fetched into one file.
#[test]
fn a_list_that_was_cut_short_takes_no_other_of_its_file_along() {
    let root = Authority::new();
    let between = root.below("between", |_| {});
    let (standing, revoked, gone) = (between.client(&[ED]), between.client(&[LA]), root.client(&[LA]));
    let [own, later] = [LASTING, LATER].map(|years| between.list(&[revoked.serial], years));
    let before = format!("{own}{}", root.list(&[], LASTING));
    let server = TestServer::with_list(root, &before, |_| {});
    client(async {
        assert!(server.takes(Some(&standing)).await && server.takes(Some(&gone)).await);
        let cut = &later[..later.len() / 2];
        fs::write(server.path(LIST), format!("{cut}\n{}", server.authority.list(&[gone.serial], LATER))).unwrap();
        assert!(server.tls.reload().is_err());
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert!(server.takes(Some(&standing)).await, "who stands was shut out");
        for pair in [&revoked, &gone] {
            assert!(!server.takes(Some(pair)).await);
        }
        let kept = server.tls.kept_lists().into_iter().map(|kept| kept.issuer);
        assert_eq!(kept.collect::<Vec<_>>(), [BETWEEN]);
    });
}

/// As where the clock of an authority is wrong for an hour, and the list that it makes next revokes a stolen key.
#[test]
fn a_list_from_the_future_stands_in_the_way_of_none_with_the_right_date() {
    let ground = Ground::new();
    let server = &ground.server;
    let [stolen, other] = [(); 2].map(|()| server.authority.client(&[LA]));
    // Some day in June of 2026, whatever the day of the test.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
    client(async {
        assert!(server.takes(Some(&stolen)).await && server.takes(Some(&other)).await);
        ground.write("root.pem", &server.authority.list(&[other.serial], (2998, 2999)));
        ground.write("between.pem", &ground.between.list(&[ground.revoked.serial], LATER));
        let said = server.tls.reload_at(now).unwrap_err();
        let said: String = said.iter().map(|error| format!("{error}\n")).collect();
        assert!(said.contains("ahead of this machine's clock") && said.contains("root.pem"), "{said}");
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert_eq!(ground.kept(), [(String::from("root.pem"), String::from("CN=test authority"))]);

        ground.write("root.pem", &server.authority.list(&[stolen.serial], LATER));
        server.tls.reload_at(now).unwrap();
        ground.holds("the right date", &stolen).await;
        assert_eq!((server.tls.failed(), ground.kept()), (vec![], vec![]));
    });
    fs::write(server.path("lists/root.pem"), server.authority.list(&[], (2998, 2999))).unwrap();
    let files = kith_server::config::Tls {
        certificate: server.path("server.pem"),
        key: server.path("server.key"),
        client_ca: server.path("clients.pem"),
        client_crls: server.path("lists"),
        ..kith_server::config::Tls::default()
    };
    let faults = kith_server::tls::faults(&files, "kith.test");
    assert_eq!(faults.len(), 1, "nor does anything begin with it: {faults:?}");
}

#[test]
fn an_issuer_that_the_new_lists_revoke_may_lose_its_list_and_no_other() {
    let ground = Ground::new();
    let server = &ground.server;
    let gone = server.authority.client(&[LA]);
    client(async {
        assert!(server.takes(Some(&ground.standing)).await, "which shows who is between");
        fs::remove_file(server.path("lists/between.pem")).unwrap();
        ground.write("root.pem", &server.authority.list(&[gone.serial], LATER));
        let said = ground.refused("without being revoked");
        assert!(said.contains("has none here"), "{said}");
        ground.holds("without being revoked", &gone).await;

        ground.write("root.pem", &server.authority.list(&[gone.serial, ground.between.serial], (2022, 2999)));
        server.tls.reload().unwrap();
        assert_eq!((server.tls.failed(), ground.kept()), (vec![], vec![]));
        for pair in [&ground.standing, &ground.revoked, &gone] {
            assert!(!server.takes(Some(pair)).await);
        }
        // Whatever becomes of that, nobody whom its list revoked is let in, without one or under an older one.
        ground.write("root.pem", &server.authority.list(&[], (2023, 2999)));
        for (older, why) in [("", "has none here"), (ground.between.list(&[], (2019, 2999)).as_str(), "older")] {
            ground.write("older.pem", &format!("{older}{}", server.authority.list(&[], (2023, 2999))));
            let said = ground.refused("revoked no more");
            assert!(said.contains(why), "{said}");
            assert_eq!(ground.kept(), between_is_kept());
            assert!(server.takes(Some(&ground.standing)).await && !server.takes(Some(&ground.revoked)).await);
        }
    });
}

/// As where an authority between has two keys, and nobody has shown the old one since the start.
#[test]
fn a_list_that_went_because_nobody_knew_whose_it_was_lets_no_older_one_in() {
    let root = Authority::new();
    let [old, new] = ["between", "between"].map(|name| root.below(name, |_| {}));
    let (by_old, by_new, revoked) = (old.client(&[ED]), new.client(&[ED]), old.client(&[LA]));
    let others = format!("{}{}", root.list(&[], LASTING), new.list(&[], LASTING));
    let own = old.list(&[revoked.serial], LASTING);
    let server = TestServer::with_list(root, &format!("{others}{own}"), |_| {});
    client(async {
        assert!(server.takes(Some(&by_new)).await, "which shows the new key alone");
        fs::write(server.path(LIST), &others).unwrap();
        server.tls.reload().unwrap();
        assert!(!server.takes(Some(&by_old)).await, "which shows the old one");
        fs::write(server.path(LIST), format!("{others}{}", old.list(&[], (2019, 2999)))).unwrap();
        let said = server.tls.reload().unwrap_err();
        assert!(said.len() == 1 && said[0].to_string().contains("older"), "{said:?}");
        assert!(server.takes(Some(&by_old)).await && server.takes(Some(&by_new)).await);
        assert!(!server.takes(Some(&revoked)).await, "an older list let in who is revoked");
    });
}

#[test]
fn more_keys_under_a_name_than_anybody_can_verify_keep_that_name_alone_as_it_was() {
    let ground = Ground::new();
    let server = &ground.server;
    let gone = server.authority.client(&[LA]);
    let stranger = Authority::named("stranger");
    let crowd: String = (0..9)
        .map(|number| stranger.list_by(KeyIdMethod::PreSpecified(vec![number; 20]), None, &[], LASTING))
        .collect();
    client(async {
        ground.write("stranger.pem", &crowd);
        ground.write("root.pem", &server.authority.list(&[gone.serial], LATER));
        let said = ground.refused("a crowd");
        assert!(said.contains("fewer keys") && said.contains("stranger.pem"), "{said}");
        ground.holds("a crowd", &gone).await;
        fs::remove_file(server.path("lists/stranger.pem")).unwrap();
        server.tls.reload().unwrap();
        assert_eq!(server.tls.failed(), []);
    });
}

/// As where somebody writes lists in the name of an authority that has not been shown since the start.
#[test]
fn keys_that_nobody_can_verify_any_more_keep_out_nothing_of_those_in_force() {
    let ground = Ground::new();
    let between = &ground.between;
    let gone = between.client(&[LA]);
    let forger = Authority::named("between");
    let forged = (0..8).map(|number| forger.list_by(KeyIdMethod::PreSpecified(vec![number; 20]), None, &[], LATER));
    let crowd: String = forged.collect();
    client(async {
        let newer = between.list(&[ground.revoked.serial, gone.serial], LATER);
        ground.write("between.pem", &format!("{crowd}{newer}"));
        let said = ground.refused("a crowd");
        assert!(said.contains("fewer keys") && said.contains(BETWEEN), "{said}");
        ground.holds("a crowd", &gone).await;
    });
}

/// As where an authority, or whoever writes its file, makes lists until those of others wait for them.
#[test]
fn more_lists_in_a_name_than_can_be_held_against_each_other_keep_that_name_alone_as_it_was() {
    let ground = Ground::new();
    let (server, between) = (&ground.server, &ground.between);
    let gone = server.authority.client(&[LA]);
    let numbers = [ground.revoked.serial];
    let about_some = |number: u32| between.list_at(Some(&format!("http://{number}.example/")), &numbers, LATER);
    let heap: String = (0..129).map(about_some).collect();
    client(async {
        assert!(server.takes(Some(&ground.standing)).await, "which shows who is between");
        ground.write("between.pem", &heap);
        ground.write("root.pem", &server.authority.list(&[gone.serial], LATER));
        let said = ground.refused("a heap");
        assert!(said.contains("fewer lists") && said.contains("between.pem"), "{said}");
        assert_eq!(ground.kept(), between_is_kept());
        ground.holds("a heap", &gone).await;
        assert!(server.tls.try_again().is_empty(), "it was said");
    });
}

/// The list that stands for one in force may be among those that wait.
#[test]
fn a_list_whose_newer_one_waits_in_a_crowd_is_not_lost_though_another_of_its_key_is_there() {
    let ground = Ground::new();
    let (server, between) = (&ground.server, &ground.between);
    let gone = server.authority.client(&[LA]);
    let by_words = |word: u8, place, revoked: &[u64], years| {
        between.list_by(KeyIdMethod::PreSpecified(vec![word; 20]), place, revoked, years)
    };
    let beside = between.list_at(Some("http://one.example/"), &[], (2022, 2999));
    client(async {
        assert!(server.takes(Some(&ground.standing)).await, "which shows who is between");
        ground.write("beside.pem", &beside);
        server.tls.reload().unwrap();
        // In force are one about all, which revokes somebody, and one about some; the first is replaced under other words.
        let crowd: String = (1..=8).map(|word| by_words(word, None, &[ground.revoked.serial], LATER)).collect();
        ground.write("between.pem", &crowd);
        ground.write("root.pem", &server.authority.list(&[gone.serial], LATER));
        let said = ground.refused("a crowd");
        assert!(said.contains("fewer keys"), "{said}");
        ground.holds("a crowd", &gone).await;
    });
}

/// An authority may make several lists in one second, and each counts.
#[test]
fn of_two_lists_of_one_second_none_goes_that_revokes_more() {
    let ground = Ground::new();
    let server = &ground.server;
    let gone = server.authority.client(&[LA]);
    client(async {
        ground.write("more.pem", &server.authority.list(&[gone.serial], LATER));
        ground.write("root.pem", &server.authority.list(&[], LATER));
        server.tls.reload().unwrap();
        ground.holds("both are there", &gone).await;
        fs::remove_file(server.path("lists/more.pem")).unwrap();
        let said = ground.refused("one is gone");
        assert!(said.contains("is gone") && said.contains("more.pem"), "{said}");
        ground.holds("one is gone", &gone).await;
        ground.write("root.pem", &server.authority.list(&[], (2022, 2999)));
        server.tls.reload().unwrap();
        assert!(server.takes(Some(&gone)).await, "a newer one may take it back");
    });
}

/// As where the old key of an authority was stolen, and is not revoked yet: its lists may call themselves whatever they like.
#[test]
fn a_list_of_an_old_key_does_not_overtake_those_of_the_new_one_by_calling_itself_so() {
    let root = Authority::new();
    let [old, new] = ["between", "between"].map(|name| root.below(name, |_| {}));
    let (by_old, by_new, gone) = (old.client(&[ED]), new.client(&[ED]), new.client(&[LA]));
    let by_words = |by: &Authority, word: u8, revoked: &[u64], years| {
        by.list_by(KeyIdMethod::PreSpecified(vec![word; 20]), None, revoked, years)
    };
    let others = format!("{}{}", root.list(&[], LASTING), by_words(&old, 1, &[], LASTING));
    let server = TestServer::with_list(root, &format!("{others}{}", by_words(&new, 2, &[], LASTING)), |_| {});
    client(async {
        for pair in [&by_old, &by_new, &gone] {
            assert!(server.takes(Some(pair)).await);
        }
        let (later, forged) = (by_words(&new, 2, &[gone.serial], LATER), by_words(&old, 2, &[], (2024, 2999)));
        fs::write(server.path(LIST), format!("{others}{later}{forged}")).unwrap();
        let said = server.tls.reload().unwrap_err();
        assert!(said.len() == 1 && said[0].to_string().contains("calls its key"), "{said:?}");
        assert!(server.takes(Some(&by_old)).await && server.takes(Some(&by_new)).await);
        assert!(!server.takes(Some(&gone)).await, "what the new key revokes waits");
        fs::write(server.path(LIST), format!("{others}{later}")).unwrap();
        server.tls.reload().unwrap();
        assert!(server.takes(Some(&by_old)).await && !server.takes(Some(&gone)).await);
    });
}

#[test]
fn lists_of_one_authority_that_would_shut_out_who_is_connected_keep_no_other_authoritys_out() {
    let [one, other] = ["http://one.example/", "http://other.example/"];
    let root = Authority::new();
    let between = root.below("between", |_| {});
    let told = between.issue(&[ED], |params| params.crl_distribution_points = vec![look_at(one)]);
    let gone = root.client(&[LA]);
    let lists = |root: &Authority, place, revoked: &[u64], years| {
        format!("{}{}", between.list_at(Some(place), &[], years), root.list(revoked, years))
    };
    let before = lists(&root, one, &[], LASTING);
    let server = TestServer::with_list(root, &before, |_| {});
    client(async {
        let open = server.connect(&told).await.unwrap();
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
        assert!(server.takes(Some(&gone)).await);
        fs::write(server.path(LIST), lists(&server.authority, other, &[gone.serial], LATER)).unwrap();
        let said = server.tls.reload().unwrap_err()[0].to_string();
        assert!(said.contains("connected") && said.contains(BETWEEN) && said.contains(LIST), "{said}");
        assert_eq!(server.tls.failed(), [Part::RevocationLists]);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok, "it was cut off by a list that does not name it");
        assert!(!server.takes(Some(&gone)).await, "what the root revokes waits");
        assert!(server.tls.try_again().is_empty() && !server.tls.kept_lists().is_empty(), "the same again");
    });
}
