//! One organisation does everything at once that a hostile one can: `kith-load hostile` against a real server, while a nurse of
//! another organisation asks and checks in. How long she waits is not looked at here: that she is answered every time is. Nor is
//! how fast it goes: the attack goes on until each of its kinds has come about, and no longer.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use kith_api::client::Client;
use kith_api::v1;
use serde_json::Value;

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::process::{Server, program};
use crate::harness::site::{Site, TRUSTS};
use crate::harness::wait::{PATIENCE, until};

const HOSTILE: &str = TRUSTS[0];
const STEADY: &str = TRUSTS[1];

/// Every attack, each with a few clients; more connections than one organisation may have. Stalled handshakes would keep the
/// others from theirs: all come from one address, and the steady client as well. Slow reads leave some places of their organisation,
/// so that something can be changed; of the two that change something one waits for the answers.
const ATTACKS: &str = concat!(
    "pings=2,settings=2,control=2,empty=2,resets=2,headers=2,",
    "connections=80,silent=20,slow-reads=2,deaf=2,calls=2,changes=2"
);
/// It goes on for so long at least.
const LEAST_SECONDS: f64 = 3.0;
/// Those that the server ends. Calls that are reset at once come at the pace of calls, and may never be too many.
const BOUNDED: [&str; 6] = ["pings", "settings", "control", "empty", "headers", "connections"];

/// The attack; it is killed when it is dropped.
struct Attacker(Child);

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with the certificate of the hostile organisation alone.
fn certificates(site: &Site) {
    let (from, to) = (site.path("certs"), site.path("hostile"));
    std::fs::create_dir(&to).unwrap();
    for name in ["ca.pem", &format!("{HOSTILE}.pem"), &format!("{HOSTILE}.key")] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Goes on for longer than anybody waits for it here.
fn attack(site: &Site, server: &Server) -> Attacker {
    let mut command = Command::new(program("kith-load"));
    command.current_dir(site.dir()).args(["hostile", "--server", &server.options("ops").server, "--certs", "hostile"]);
    command.args(["--attacks", ATTACKS, "--first-opens-per-s", "200", "--opens-per-s", "200"]);
    command.args(["--json", "hostile.json", "--quiet"]);
    command.args(["--seconds", &(2 * PATIENCE).as_secs().to_string()]);
    Attacker(command.spawn().unwrap())
}

/// What has not come about yet of an attack that says this of itself.
fn lacks(told: &Value) -> Vec<String> {
    let of = |attack: &str, what: &str| told["attacks"][attack][what].as_u64().unwrap_or(0);
    let unbounded = BOUNDED.into_iter().filter(|attack| of(attack, "ended_by_server") == 0);
    let mut lacks: Vec<String> = unbounded.map(|attack| format!("{attack} go on unhindered")).collect();
    if told["seconds"].as_f64().unwrap_or(0.0) < LEAST_SECONDS {
        lacks.push("it has hardly begun".to_owned());
    }
    let names = ATTACKS.split(',').filter_map(|attack| attack.split_once('=')).map(|(name, _)| name);
    lacks.extend(names.filter(|name| of(name, "took_part") == 0).map(|name| format!("nobody came to {name}")));
    for (attack, what) in [("slow-reads", "calls"), ("deaf", "calls"), ("calls", "answered"), ("changes", "kept")] {
        if of(attack, what) == 0 {
            lacks.push(format!("{attack}: none {what}"));
        }
    }
    if of("changes", "calls") <= of("changes", "kept") {
        lacks.push("changes: all waited for".to_owned());
    }
    lacks
}

/// Waits until all of the attack has come about, and ends it; gives what became of it. It tells each second.
fn watched(mut attacker: Attacker, path: &Path) -> Value {
    let limit = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read(path).unwrap_or_default();
        let told = serde_json::from_slice(&text).unwrap_or(Value::Null);
        let lacks = lacks(&told);
        if lacks.is_empty() {
            return told;
        }
        assert!(attacker.0.try_wait().unwrap().is_none(), "the attack ended by itself: {lacks:?}");
        assert!(Instant::now() < limit, "waited {PATIENCE:?} in vain: {lacks:?}: {told}");
        sleep(Duration::from_millis(50));
    }
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
    let pace = ("limits", "calls_per_second_per_organisation", "1000");
    let mut site = Site::with(&[("limits", "max_connections_per_organisation", "40"), pace]);
    certificates(&site);
    let server = site.ready().await;
    let steady = server.client(STEADY).await;
    calls::ask(&steady, build::lookup(STEADY, nhs(1))).await;
    let (attacker, path) = (attack(&site, &server), site.path("hostile.json"));
    // In a thread of its own: the attack ends when it has come about, however long she waits.
    let watching = thread::spawn(move || watched(attacker, &path));
    let mut answered = 0_u32;
    while !watching.is_finished() {
        // A failed call ends the test.
        calls::ask(&steady, build::lookup(STEADY, nhs(1))).await;
        check_in(&steady, answered).await;
        answered += 1;
    }
    let told = watching.join().unwrap();
    println!("{answered} answers beside {told}");
    // What was sent for no answer may be kept still: hers is when that is over.
    check_in(&steady, answered).await;
    let fresh = server.client(STEADY).await;
    calls::ask(&fresh, build::lookup(STEADY, nhs(1))).await;
    tokio::task::block_in_place(|| server.stop());
    // The last are HTTP/2's own words for rapid resets.
    site.finish(&["beyond its limits", "read calls late", "streams reached limit"]);
}

/// What a service bounds by address it bounds apart from those who ask beside the attack.
#[test]
fn the_attack_comes_from_the_address_that_it_is_told() {
    const FROM: &str = "127.0.0.2";
    let site = Site::new();
    certificates(&site);
    // It takes connections and never says anything.
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let mut command = Command::new(program("kith-load"));
    command.current_dir(site.dir()).args(["hostile", "--server", &service.local_addr().unwrap().to_string()]);
    command.args(["--certs", "hostile", "--attacks", "pings=1,silent=1", "--from", FROM, "--quiet"]);
    command.args(["--seconds", &(2 * PATIENCE).as_secs().to_string()]);
    let attacker = Attacker(command.spawn().unwrap());
    // Kept open: a client whose connection ends would come again in the place of the other.
    let came = [(); 2].map(|()| until("both clients of the attack come", || service.accept().ok()));
    assert_eq!(came.each_ref().map(|(_, address)| address.ip().to_string()), [FROM, FROM]);
    drop(attacker);
    site.finish(&[]);
}
