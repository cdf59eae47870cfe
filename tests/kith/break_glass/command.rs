//! `kith break-glass`, by its exit codes and what it prints.

use std::process::{Command, Stdio};

use super::{AUDITOR, CHILD, Server, Site, TEAM, hold, site};
use crate::harness::build::nhs;
use crate::harness::process::program;

/// Exit code and what was printed, its lines as one.
fn kith(site: &Site, server: &Server, (certificate, user): (&str, &str), arguments: &[&str]) -> (i32, String) {
    let options = server.options(certificate);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).arg("break-glass").args(arguments).args(["--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", user, "--user-name", "A Lead", "--user-role", "Lead", "--role-code", "R8000"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn open<'a>(number: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = ["open", "--nhs-number", number, "--reason", "court-order", "--words", "order of the court"];
    [&usual[..], more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_opens_lists_and_reviews() {
    let mut site = site(&[("break_glass", "per_person", "1")]);
    let server = site.ready().await;
    hold(&server).await;
    let number = nhs(CHILD).digits();
    tokio::task::block_in_place(|| {
        let run = |who, arguments: &[&str]| kith(&site, &server, who, arguments);
        let (code, said) = run((TEAM, "opener"), &open(&number, &[]));
        assert_eq!(code, 2, "who was not told beforehand opens nothing: {said}");
        assert!(said.contains("a privacy officer reviews it"), "{said}");

        let accepted = open(&number, &["--review-accepted"]);
        let (code, said) = run((TEAM, "opener"), &accepted);
        assert_eq!(code, 10, "held: {said}");
        assert!(said.contains("SHIELDED RECORD, OPENED FOR THIS ONE VIEWING") && said.contains("Hartlemoor"), "{said}");
        let (code, said) = run((TEAM, "opener"), &accepted);
        assert_eq!(code, 20, "could not ask: {said}");
        assert!(said.contains("there is NO ANSWER about this child") && said.contains("OPENING_LIMIT"), "{said}");
        let (code, said) = run(("RZ1", "nurse"), &accepted);
        assert_eq!(code, 21, "an emergency department is not granted it: {said}");
        let mut odd = accepted.clone();
        odd[4] = "curiosity";
        assert_eq!(run((TEAM, "opener"), &odd).0, 22, "a reason that is none");

        let (code, json) = run((AUDITOR, "auditor"), &["queue", "--output", "json"]);
        assert_eq!(code, 0, "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["openings"][0]["reason"], "court-order");
        let reference = json["openings"][0]["reference"].as_str().unwrap().to_owned();
        let (code, said) = run((TEAM, "officer"), &["queue"]);
        assert!(code == 0 && said.contains(&reference) && !said.contains(&number), "{said}");
        let review = ["review", &reference, "--outcome", "justified"];
        assert_eq!(run((TEAM, "opener"), &review).0, 23, "one's own");
        assert_eq!(run((TEAM, "officer"), &review).0, 0);
        assert_eq!(run((TEAM, "officer"), &review).0, 23, "reviewed already");
        assert!(run((TEAM, "officer"), &["queue"]).1.starts_with("0 openings"));
        server.stop();
    });
    site.finish(&[]);
}
