//! Revocation in the matrix: by the leaf, by what is between, and by lists that are missing, forged, expired or huge.

use std::fs;

use kith_server::config::ExpiredLists;

use super::{Case, hold, refused, taken};
use crate::authority::{Authority, LASTING};
use crate::harness::{ED, LIST, TestServer};

/// Entries of a list that is larger than any real one here.
const HUGE: u64 = 50_000;

#[test]
fn revoked() {
    let root = Authority::new();
    let [between, out, unlisted, forged] =
        ["between", "out", "unlisted", "forged"].map(|name| root.below(name, |_| {}));
    let leaves = [root.client(&[ED]), root.client(&[ED]), between.client(&[ED]), between.client(&[ED])];
    let [standing, revoked, below, revoked_below] = leaves;
    let lists = [
        root.list(&[revoked.serial, out.serial], LASTING),
        between.list(&[revoked_below.serial], LASTING),
        out.list(&[], LASTING),
        // In its name, by another key.
        Authority::named("forged").list(&[], LASTING),
    ];
    let cases = vec![
        taken("not revoked", standing),
        refused("revoked", revoked),
        taken("not revoked, under an authority between", below),
        refused("revoked by an authority between", revoked_below),
        refused("under a revoked authority", out.client(&[ED])),
        refused("under an authority without a list", unlisted.client(&[ED])),
        refused("under an authority whose list another signed", forged.client(&[ED])),
    ];
    let server = TestServer::with_list(root, &lists.concat(), |_| {});
    hold("revocation", &server, &cases);
}

#[test]
fn expired_lists() {
    for (expired, others) in [(ExpiredLists::Accept, true), (ExpiredLists::Refuse, false)] {
        let root = Authority::new();
        let (standing, gone) = (root.client(&[ED]), root.client(&[ED]));
        let list = root.list(&[gone.serial], (2020, 2021));
        let others = Case { name: String::from("not in it"), pair: Some(standing), taken: others };
        let server = TestServer::with_list(root, &list, |config| config.tls.crl_expired = expired);
        hold(&format!("an expired list, {expired:?}"), &server, &[others, refused("revoked in it", gone)]);
    }
}

#[test]
fn huge_lists() {
    let root = Authority::new();
    let (standing, gone) = (root.client(&[ED]), root.client(&[ED]));
    let mut serials: Vec<u64> = (1_000_000..1_000_000 + HUGE).collect();
    serials.push(gone.serial);
    let list = root.list(&serials, LASTING);
    let server = TestServer::with_list(root, &list, |_| {});
    hold("a huge list", &server, &[taken("not in it", standing), refused("revoked in it", gone)]);
}

/// Lists that the server does not take at all; those in force go on.
#[test]
fn lists_of_the_wrong_issuer() {
    let root = Authority::new();
    let (standing, gone) = (root.client(&[ED]), root.client(&[ED]));
    let list = root.list(&[gone.serial], LASTING);
    let server = TestServer::with_list(root, &list, |_| {});
    for (name, wrong) in [
        ("another issuer's", Authority::named("another").list(&[], (2021, 2999))),
        ("one in the authority's name by another key", Authority::new().list(&[], (2021, 2999))),
    ] {
        fs::write(server.path(LIST), wrong).unwrap();
        assert!(server.tls.reload().is_err(), "{name} was taken");
        let cases = [taken("not revoked", standing.clone()), refused("revoked before", gone.clone())];
        hold(&format!("after {name}"), &server, &cases);
    }
}
