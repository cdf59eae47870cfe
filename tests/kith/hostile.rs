//! One organisation does everything at once that a hostile one can: `kith-load hostile` against a real server, while a nurse of
//! another organisation asks and checks in. How long she waits is not looked at here: that she is answered every time is.

use std::process::Command;

use kith_api::client::Client;
use kith_api::v1;
use serde_json::Value;

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::process::{Server, program};
use crate::harness::site::{Site, TRUSTS};

const HOSTILE: &str = TRUSTS[0];
const STEADY: &str = TRUSTS[1];

/// Every attack, each with a few clients; more connections than one organisation may have. Stalled handshakes would keep the
/// others from theirs: all come from one address, and the steady client as well. Slow reads leave some places of their organisation,
/// so that something can be changed.
const ATTACKS: &str = concat!(
    "pings=2,settings=2,control=2,empty=2,resets=2,headers=2,",
    "connections=80,silent=20,slow-reads=2,deaf=2,calls=2,changes=4"
);

/// A folder with the certificate of the hostile organisation alone.
fn certificates(site: &Site) {
    let (from, to) = (site.path("certs"), site.path("hostile"));
    std::fs::create_dir(&to).unwrap();
    for name in ["ca.pem", &format!("{HOSTILE}.pem"), &format!("{HOSTILE}.key")] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn attack(site: &Site, server: &Server) -> Command {
    let mut command = Command::new(program("kith-load"));
    command.current_dir(site.dir()).args(["hostile", "--server", &server.options("ops").server, "--certs", "hostile"]);
    command.args(["--attacks", ATTACKS, "--seconds", "4", "--opens-per-s", "200", "--json", "hostile.json", "--quiet"]);
    command
}

/// A check-in that is kept.
async fn check_in(client: &Client, number: u32) {
    let request = build::check_in(STEADY, nhs(2 + number % 1_000), &format!("E{number}"));
    let response = calls::check_in(client, request).await.unwrap();
    let recording = response.recording.unwrap();
    assert!(matches!(recording, v1::check_in_response::Recording::Recorded(_)), "{recording:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organisation_is_answered_while_one_attacks() {
    let mut site = Site::with(&[("limits", "max_connections_per_organisation", "40")]);
    certificates(&site);
    let server = site.ready().await;
    let steady = server.client(STEADY).await;
    calls::ask(&steady, build::lookup(STEADY, nhs(1))).await;
    let mut attacker = attack(&site, &server).spawn().unwrap();
    let mut answered = 0_u32;
    let ended = loop {
        // A failed call ends the test.
        calls::ask(&steady, build::lookup(STEADY, nhs(1))).await;
        check_in(&steady, answered).await;
        answered += 1;
        if let Some(ended) = attacker.try_wait().unwrap() {
            break ended;
        }
    };
    assert!(ended.success());
    let told: Value = serde_json::from_slice(&std::fs::read(site.path("hostile.json")).unwrap()).unwrap();
    println!("{answered} answers beside {told}");
    let of = |attack: &str, what: &str| told["attacks"][attack][what].as_u64().unwrap();
    for bounded in ["pings", "settings", "control", "empty", "resets", "headers", "connections"] {
        assert!(of(bounded, "ended_by_server") > 0, "{bounded} go on unhindered: {told}");
    }
    for (attack, became) in told["attacks"].as_object().unwrap() {
        assert!(became["took_part"].as_u64() > Some(0), "{attack} did not take place: {told}");
    }
    assert!(of("slow-reads", "calls") > 0 && of("calls", "answered") > 0, "the attack did not take place: {told}");
    assert!(of("changes", "kept") > 0 && of("changes", "calls") > of("changes", "kept"), "nothing was changed: {told}");
    let fresh = server.client(STEADY).await;
    calls::ask(&fresh, build::lookup(STEADY, nhs(1))).await;
    tokio::task::block_in_place(|| server.stop());
    // The second are HTTP/2's own words for rapid resets.
    site.finish(&["beyond its limits", "streams reached limit"]);
}
