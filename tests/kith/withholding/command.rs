//! `kith withhold`, by its exit codes and what it prints, and `kith lookup` beside it.

use std::process::{Command, Stdio};

use super::{A, B, CHILD, ED, SAID, Server, Site, site};
use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::process::program;

/// Exit code and what was printed, its lines as one.
fn kith(site: &Site, server: &Server, certificate: &str, arguments: &[&str]) -> (i32, String) {
    let options = server.options(certificate);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).args(arguments).args(["--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", "m1", "--user-name", "A Manager", "--user-role", "Manager", "--role-code", "R8000"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_decides_lists_and_lifts_and_a_lookup_says_held() {
    let mut site = site();
    let server = site.ready().await;
    calls::accept(&server.client(A).await, vec![build::plan(nhs(CHILD), "PA")]).await;
    let number = nhs(CHILD).digits();
    let by = build::now().london_day().plus_days(30).text();
    tokio::task::block_in_place(|| {
        let run = |who, arguments: &[&str]| kith(&site, &server, who, arguments);
        let decide = [
            "withhold",
            "decide",
            "--nhs-number",
            &number,
            "--reason",
            "court-order",
            "--words",
            SAID,
            "--look-again",
            &by,
        ];
        let mut odd = decide;
        odd[5] = "curiosity";
        assert_eq!(run(A, &odd).0, 22, "a reason that is none");
        let (code, said) = run(A, &decide);
        assert!(code == 0 && said.contains("Withheld"), "{code}: {said}");
        let (code, said) = run(ED, &["lookup", "--nhs-number", &number]);
        assert_eq!(code, 10, "held: {said}");
        assert!(said.contains("WITHHELD by a person's decision") && !said.contains(SAID), "{said}");
        let (code, said) = run(A, &["withhold", "list"]);
        assert!(code == 0 && said.contains(&number) && said.contains(SAID) && said.contains("court-order"), "{said}");
        let (code, said) = run(B, &["withhold", "list"]);
        assert!(code == 0 && said.starts_with("0 decisions to withhold stand"), "{code}: {said}");
        let lift = ["withhold", "lift", "--nhs-number", &number];
        assert_eq!(run(A, &lift).0, 0);
        assert_eq!(run(A, &lift).0, 23, "there is nothing to lift any more");
        assert_eq!(run(ED, &lift).0, 21, "an emergency department is not granted it");
        server.stop();
    });
    site.finish(&[]);
}
