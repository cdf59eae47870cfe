//! `kith-load` against a real server with a tiny England: what it sends is taken, what it reports adds up, and what is wrong
//! ends it with the exit code that says so. No figure of speed is looked at: machines differ.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;

use crate::harness::build;
use crate::harness::certificates;
use crate::harness::logs;
use crate::harness::process::{Server, program};
use crate::harness::site::Site;
use crate::harness::wait::until;

/// A ten-thousandth of England.
const SCALE: &str = "0.0001";
const SENDERS: usize = 4;

fn run(command: &mut Command) -> Output {
    let output = command.env("KITH_PROFILE_FILE", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A site whose directory is England's, and that England beside it.
fn england() -> Site {
    let scratch = tempfile::tempdir().unwrap();
    let today = build::now().london_day().text();
    let mut synth = Command::new(program("kith-synth"));
    run(synth.args(["--seed", "7", "--scale", SCALE, "--as-of", &today, "--out"]).arg(scratch.path()));
    let read = |name: &str| std::fs::read_to_string(scratch.path().join("directory").join(name)).unwrap();
    let site = Site::of(&read("authorities.csv"), &read("organisations.csv"), &read("sites.csv"));
    let copied = Command::new("cp").arg("-r").arg(scratch.path()).arg(site.path("england")).status().unwrap();
    assert!(copied.success());
    site
}

/// Every sender's file, by the program that senders use.
fn fill(site: &Site, server: &Server) {
    let file = |kind: &'static str| {
        let listed = std::fs::read_dir(site.path("england").join(kind)).unwrap();
        listed.map(move |entry| (kind, entry.unwrap().path()))
    };
    let files = Mutex::new(file("plans").chain(file("presentations")));
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let Some((kind, path)) = files.lock().unwrap().next() else { return };
                    push(site, server, kind, &path);
                }
            });
        }
    });
}

fn push(site: &Site, server: &Server, kind: &str, path: &Path) {
    let certs = site.path("certs");
    let code = path.file_stem().unwrap().to_str().unwrap();
    let mut kith = Command::new(program("kith"));
    kith.arg("--server").arg(server.options(code).server).arg("--ca").arg(certs.join("ca.pem"));
    kith.arg("--cert").arg(certs.join(format!("{code}.pem"))).arg("--key").arg(certs.join(format!("{code}.key")));
    kith.args([kind, "push"]).arg(path);
    kith.args(["--user-id", "feed", "--user-name", "Feed", "--user-role", "Integration", "--role-code", "R8008"]);
    kith.args(["--purpose", "record-keeping"]);
    run(&mut kith);
}

/// Runs `kith-load` and gives its exit code, what it printed, and its outcome.
fn load(site: &Site, server: &Server, verb: &str, arguments: &[&str]) -> (i32, String, Value) {
    let json = site.path("outcome.json");
    let _none = std::fs::remove_file(&json);
    let mut command = Command::new(program("kith-load"));
    command.current_dir(site.dir()).args([verb, "--server", &server.options("ops").server, "--certs", "certs"]);
    command.args(["--england", "england", "--json", "outcome.json"]).args(arguments);
    if !arguments.contains(&"--timeout-ms") {
        command.args(["--timeout-ms", "30000"]);
    }
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let outcome = std::fs::read_to_string(&json).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    (output.status.code().unwrap(), printed, outcome)
}

/// The generator may be late here: the machine runs other tests too.
const ANY_LATENESS: [&str; 2] = ["--late-percent", "100"];
const SHORT: [&str; 4] = ["--warm-up-s", "0.2", "--duration-s", "1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_sends_is_taken_and_what_it_reports_adds_up() {
    let mut site = england();
    site.configure(&[]);
    let server = site.ready().await;
    tokio::task::block_in_place(|| {
        fill(&site, &server);
        everything(&site, &server);
        closed(&site, &server);
        a_storm(&site, &server);
        a_knee(&site, &server);
        a_stall(&site, &server);
        what_is_wrong(&site, &server);
        server.stop();
    });
    site.finish(&[]);
}

/// Every kind of traffic, with churn and files; and every report.
fn everything(site: &Site, server: &Server) {
    let mix = ["--mix", "lookup=60,lookup-truth=20,check-in=10,worklist=4,plan-event=6", "--rate", "400"];
    let files = ["--file-interval-ms", "250", "--file-rows", "40", "--churn-per-s", "20", "--worklist-entries", "10"];
    let reports = ["--html", "report.html", "--hgrm", "report.hgrm"];
    let arguments = [&mix[..], &files, &reports, &ANY_LATENESS, &SHORT].concat();
    let (code, printed, outcome) = load(site, server, "run", &arguments);
    assert_eq!(code, 0, "{printed}");
    let kinds = outcome["kinds"].as_object().unwrap();
    let names: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let all = ["check-in", "lookup-hit", "lookup-miss", "lookup-truth", "plan-event", "plan-file", "worklist"];
    assert_eq!(names, all, "{printed}");
    for (name, figures) in kinds {
        assert!(figures["ok"].as_u64().unwrap() > 0 && figures["ok"] == figures["offered"], "{name} {figures}");
    }
    assert_eq!((&outcome["total"]["failed"], &outcome["total"]["wrong"]), (&0.into(), &0.into()));
    let told = &outcome["verification"];
    assert!(told["checked_in_full"].as_u64().unwrap() > 20 && told["wrong"] == 0, "{told}");
    assert_eq!(outcome["counters"]["agree"], true);
    assert_eq!(outcome["drain"]["complete"], true);
    assert!(outcome["handshakes"]["opened"].as_u64().unwrap() > 9, "churn opens connections anew");
    let page = std::fs::read_to_string(site.path("report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    for outside in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!page.contains(outside), "the page needs nothing from elsewhere: {outside}");
    }
    // Shares of a curve have ten digits too, so what stands in the England is looked for.
    let told = outcome.to_string();
    assert!(!logs::has_number(&page), "a report names nobody");
    assert!(
        !numbers(site).iter().any(|number| page.contains(number) || told.contains(number)),
        "a report names nobody"
    );
    let hgrm = std::fs::read_to_string(site.path("report.hgrm")).unwrap();
    assert!(hgrm.contains("1/(1-Percentile)") && hgrm.contains("#[Max"), "{hgrm}");
    std::fs::rename(site.path("outcome.json"), site.path("first.json")).unwrap();
}

/// Everybody whom the truth file asks about.
fn numbers(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.path("england/truth.jsonl")).unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["nhs_number"].as_str().unwrap().to_owned();
    text.lines().map(line).collect()
}

/// A closed loop of calls whose answers are not looked at, and the comparison with what went before.
fn closed(site: &Site, server: &Server) {
    let empty = ["--mix", "empty", "--empty-path", "/kith.v1.LookupService/Lookup", "--closed", "--in-flight", "4"];
    let (code, printed, outcome) = load(site, server, "run", &[&empty[..], &SHORT].concat());
    assert_eq!(code, 0, "{printed}");
    assert!(outcome["kinds"]["empty"]["ok"].as_u64().unwrap() > 10, "{printed}");
    assert_eq!((&outcome["counters"], &outcome["lookups"]), (&Value::Null, &Value::Null));
    let mut compare = Command::new(program("kith-load"));
    let compared = run(compare.current_dir(site.dir()).args(["compare", "first.json", "outcome.json"]));
    let said = String::from_utf8(compared.stdout).unwrap();
    for words in ["B / A", "NOT THE SAME: mix", "all: p99", "of them WRONG", "history: caught up after", "undecided"] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let mut again = Command::new(program("kith-load"));
    let again = run(again.current_dir(site.dir()).args(["report", "first.json", "--html", "again.html"]));
    assert!(String::from_utf8(again.stdout).unwrap().contains("check-in"));
    let page = |name| std::fs::read_to_string(site.path(name)).unwrap();
    assert_eq!(page("again.html"), page("report.html"), "the same outcome gives the same page");
}

fn a_storm(site: &Site, server: &Server) {
    let storm = ["--rate", "100", "--clients", "20", "--storms", "2", "--quiet-s", "0.4", "--warm-up-s", "0.1"];
    let (code, printed, outcome) = load(site, server, "storm", &[&storm[..], &ANY_LATENESS].concat());
    assert_eq!(code, 0, "{printed}");
    let told = &outcome["storm"];
    for one in told["storms"].as_array().unwrap() {
        assert_eq!((&one["back"], &one["errors"]), (&20.into(), &serde_json::json!({})), "{one}");
        assert_eq!(one["first_answer_ns"]["count"], 20);
    }
    assert_eq!(told["storms"].as_array().unwrap().len(), 2);
    assert!(told["steady_quiet"]["ok"].as_u64().unwrap() > 0);
    assert_eq!(outcome["counters"]["agree"], true, "the storm's own answers are counted too: {printed}");
}

fn a_knee(site: &Site, server: &Server) {
    let search = ["--start-rate", "50", "--factor", "2", "--most-rate", "100", "--p99-bound-us", "600000000"];
    let short = ["--warm-up-s", "0.1", "--duration-s", "0.3"];
    let (code, printed, outcome) = load(site, server, "knee", &[&search[..], &short, &ANY_LATENESS].concat());
    assert_eq!(code, 0, "{printed}");
    assert_eq!(outcome["knee"]["carried_per_second"], 100.0, "{printed}");
    assert_eq!(outcome["knee"]["steps"].as_array().unwrap().len(), 2);
}

/// How long a server stands still.
const STALL: Duration = Duration::from_millis(600);

/// A run of 400 requests, 200 a second, in the midst of which the server stands still.
fn stalled(site: &Site, server: &Server, arguments: &[&str]) -> Value {
    let entries = || Handle::current().block_on(server.status()).positions.unwrap().audit_last;
    let before = entries();
    let (code, printed, outcome) = std::thread::scope(|scope| {
        let one = ["--mix", "lookup-miss", "--rate", "200", "--connections", "1", "--warm-up-s", "0"];
        let all = [&one[..], &["--duration-s", "2", "--arrivals", "constant"], &ANY_LATENESS, arguments].concat();
        let running = scope.spawn(move || load(site, server, "run", &all));
        until("the load has begun", || (entries() > before + 20).then_some(()));
        server.freeze();
        std::thread::sleep(STALL);
        server.signal("-CONT");
        running.join().unwrap()
    });
    assert_eq!((code, &outcome["lookups"]["offered"]), (0, &400.into()), "{printed}");
    outcome
}

/// The one connection takes one request at a time, so the generator is held up as well; all the same every request that was
/// due meanwhile must have waited. And what waited longer than somebody waits was not answered well.
fn a_stall(site: &Site, server: &Server) {
    let outcome = stalled(site, server, &["--in-flight", "1"]);
    let (lookups, late) = (&outcome["lookups"], &outcome["lateness"]);
    assert_eq!(lookups["ok"], 400);
    let p90 = Duration::from_nanos(lookups["latency_ns"]["p90"].as_u64().unwrap());
    // 120 of the 400 were due while it stood still, evenly over the stall: a tenth of all waited longer than half of it.
    assert!(p90 > STALL / 2, "the stall is hidden: {p90:?}");
    assert!(late["waited_for_a_place"].as_u64().unwrap() > 60, "{late}");

    let outcome = stalled(site, server, &["--timeout-ms", "200"]);
    let lookups = &outcome["lookups"];
    let longest = Duration::from_nanos(lookups["latency_ns"]["max"].as_u64().unwrap());
    assert!(longest < Duration::from_millis(201), "{longest:?}");
    assert!(lookups["failed"].as_u64().unwrap() > 40, "{lookups}");
    assert_eq!(lookups["ok"].as_u64().unwrap() + lookups["failed"].as_u64().unwrap(), 400, "{lookups}");
}

/// A schedule that no generator keeps, a truth that is not so, and arguments that are not known.
fn what_is_wrong(site: &Site, server: &Server) {
    let short = ["--rate", "100", "--warm-up-s", "0", "--duration-s", "0.5"];
    let never_late = ["--late-bound-us", "0", "--late-percent", "0"];
    let (code, printed, outcome) = load(site, server, "run", &[&short[..], &never_late].concat());
    assert_eq!((code, &outcome["void"]), (3, &true.into()), "{printed}");
    assert!(printed.contains("VOID") && !outcome["void_reasons"].as_array().unwrap().is_empty());

    let truth = site.path("england/truth.jsonl");
    let text = std::fs::read_to_string(&truth).unwrap();
    std::fs::write(&truth, text.replace("\"plans\":\"none-held\"", "\"plans\":\"held\"")).unwrap();
    let lies = ["--mix", "lookup-truth"];
    let (code, printed, outcome) = load(site, server, "run", &[&short[..], &lies, &ANY_LATENESS].concat());
    assert_eq!(code, 4, "an answer that is not true is fatal: {printed}");
    assert!(outcome["verification"]["wrong"].as_u64().unwrap() > 0 && printed.contains("WRONG"));
    assert!(!logs::has_number(&printed), "{printed}");
    let search = ["--start-rate", "50", "--factor", "2", "--most-rate", "100", "--p99-bound-us", "600000000"];
    let steps = ["--warm-up-s", "0.1", "--duration-s", "0.5"];
    let (code, printed, outcome) = load(site, server, "knee", &[&search[..], &steps, &lies, &ANY_LATENESS].concat());
    let (knee, told) = (&outcome["knee"], &outcome["verification"]);
    assert_eq!(
        (code, &knee["carried_per_second"]),
        (4, &0.0.into()),
        "a rate is not carried by untrue answers: {printed}"
    );
    assert_eq!(knee["steps"].as_array().unwrap().len(), 1, "nor looked for any further: {printed}");
    assert!(told["wrong"].as_u64().unwrap() > 0, "{told}");
    let mut again = Command::new(program("kith-load"));
    let again =
        again.current_dir(site.dir()).env("KITH_PROFILE_FILE", "/dev/null").args(["report", "outcome.json"]).status();
    assert_eq!(again.unwrap().code(), Some(4), "what was wrong stays so, told again");

    for unknown in [&["--mix", "lokup"][..], &["--rte", "5"], &["--rate", "0"], &["--closed"], &["--empty-path", "x"]] {
        let (code, printed, _) = load(site, server, "run", &[&short[..], unknown].concat());
        assert_eq!(code, 2, "{unknown:?} {printed}");
    }
    std::fs::remove_file(site.path("certs/scheduled-care.pem")).unwrap();
    let planned = [&short[..], &["--mix", "lookup-scheduled"], &ANY_LATENESS].concat();
    let (code, printed, _) = load(site, server, "run", &planned);
    assert!(code == 1 && printed.contains("scheduled-care"), "{printed}");
    certificates::issue(&site.path("certs"), "planned", "R1H", "scheduled-care");
    let (code, printed, outcome) = load(site, server, "run", &planned);
    assert_eq!((code, &outcome["total"]["failed"]), (0, &0.into()), "{printed}");
}
