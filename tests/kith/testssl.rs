//! What testssl.sh, a tester of others, finds at the server's port. Protocols, ciphers and vulnerabilities without a finding; of
//! the certificate each finding has its reason here. Run by `cargo xtask assure`: the tester takes half a minute.

use std::process::Command;

use serde_json::Value;

use crate::harness::site::Site;

/// A finding of the tester about the certificate that is as it should be.
struct Reason {
    id: &'static str,
    /// How grave, and words of it: the same check may find something else another day.
    findings: &'static [(&'static str, &'static str)],
    why: &'static str,
}

const REASONS: [Reason; 4] = [
    Reason {
        id: "cert_expirationStatus",
        // The second where midnight has passed since it was made.
        findings: &[("MEDIUM", "expires < 60 days (30)"), ("HIGH", "expires < 30 days (29)")],
        why: "a development authority's certificate is in force for thirty days, on purpose",
    },
    Reason {
        id: "cert_notAfter",
        // The day itself, as grave as what is said of it; of one that has passed it is CRITICAL.
        findings: &[("MEDIUM", "20"), ("HIGH", "20")],
        why: "as before",
    },
    Reason {
        id: "cert_revocation",
        findings: &[("HIGH", "Neither CRL nor OCSP URI provided")],
        why: "its clients are programs that trust one authority, by file; a server's certificate is replaced within seconds, and its clients' are revoked by tls.client_crls",
    },
    Reason {
        id: "DNS_CAArecord",
        findings: &[("LOW", "--")],
        why: "no public authority issues for it, so there is no record that would say which may",
    },
];

impl Reason {
    fn is_for(&self, id: &str, severity: &str, finding: &str) -> bool {
        self.id == id && self.findings.iter().any(|(grave, words)| *grave == severity && finding.contains(words))
    }
}

/// About the tester's own tools, not about the server.
const ITS_OWN: [&str; 2] = ["engine_problem", "scanTime"];
/// What must be told, so that a tester that has stopped early is not taken for one that found nothing.
const DEMANDED: [(&str, &str); 14] = [
    ("SSLv2", "not offered"),
    ("SSLv3", "not offered"),
    ("TLS1", "not offered"),
    ("TLS1_1", "not offered"),
    ("TLS1_2", "not offered"),
    ("TLS1_3", "offered with final"),
    ("cipherlist_NULL", "not offered"),
    ("cipherlist_aNULL", "not offered"),
    ("cipherlist_STRONG", "offered"),
    ("cipherlist_AVERAGE", "not offered"),
    ("heartbleed", "not vulnerable"),
    ("secure_renego", "TLS 1.3 only"),
    ("LUCKY13", "not vulnerable"),
    ("RC4", "not vulnerable"),
];

/// What was judged: how many checks there were, findings with their reason, and what is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judged {
    checks: usize,
    reasons: Vec<String>,
    wrong: Vec<String>,
}

fn is_of_the_certificate(id: &str) -> bool {
    id.starts_with("cert") || matches!(id, "OCSP_stapling" | "DNS_CAArecord" | "certificate_transparency")
}

fn judge(report: &Value) -> Judged {
    let mut judged = Judged::default();
    let lines: Vec<[&str; 3]> = report
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| ["id", "severity", "finding"].map(|key| line[key].as_str().unwrap_or_default()))
        .collect();
    for [id, severity, finding] in &lines {
        if ITS_OWN.contains(id) {
            continue;
        }
        judged.checks += 1;
        if matches!(*severity, "OK" | "INFO" | "DEBUG") {
            continue;
        }
        let told = format!("{id}: {severity}: {finding}");
        match REASONS.iter().find(|reason| reason.is_for(id, severity, finding) && is_of_the_certificate(id)) {
            Some(reason) => judged.reasons.push(format!("{told}: {}", reason.why)),
            None => judged.wrong.push(told),
        }
    }
    for (id, expected) in DEMANDED {
        let told: Vec<&str> = lines.iter().filter(|line| line[0] == id).map(|line| line[2]).collect();
        if !told.iter().any(|finding| finding.starts_with(expected)) {
            judged.wrong.push(format!("{id} is {told:?}, expected {expected}"));
        }
    }
    judged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a tester of others that takes half a minute: cargo xtask assure"]
async fn a_tester_of_others_finds_nothing() {
    let mut site = Site::new();
    let server = site.ready().await;
    let report = site.path("testssl.json");
    let port = server.options("ops").server.rsplit_once(':').unwrap().1.to_owned();
    let mut tester = Command::new("testssl");
    tester.args(["--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--add-ca"]);
    tester.arg(site.path("certs/ca.pem")).args(["--protocols", "--std", "--fs", "--server-preference"]);
    tester.args(["--server-defaults", "--vulnerable", "--jsonfile"]).arg(&report).arg(format!("localhost:{port}"));
    let output = tokio::task::block_in_place(|| tester.current_dir(site.dir()).output()).unwrap();
    let text = std::fs::read_to_string(&report)
        .unwrap_or_else(|error| panic!("no report: {error}: {}", String::from_utf8_lossy(&output.stdout)));
    let Judged { checks, reasons, wrong } = judge(&serde_json::from_str(&text).unwrap());
    reasons.iter().for_each(|reason| println!("TOLD of the certificate: {reason}"));
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("COUNTED testssl {checks}");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["refused a connection", "closed a connection"]);
}

#[test]
fn a_finding_is_wrong_unless_it_is_the_certificates_and_has_a_reason() {
    let line = |id: &str, severity: &str, finding: &str| serde_json::json!({"id": id, "severity": severity, "finding": finding});
    let mut lines: Vec<Value> = DEMANDED.iter().map(|(id, finding)| line(id, "OK", finding)).collect();
    lines.push(line("engine_problem", "WARN", "of its own"));
    lines.push(line("cert_revocation", "HIGH", "Neither CRL nor OCSP URI provided"));
    let good = judge(&Value::Array(lines.clone()));
    assert_eq!((good.checks, good.reasons.len(), good.wrong), (DEMANDED.len() + 1, 1, Vec::new()));
    let with = |more: Value| judge(&Value::Array([lines.clone(), vec![more]].concat())).wrong;
    assert_eq!(with(line("BREACH", "MEDIUM", "x")), ["BREACH: MEDIUM: x"]);
    assert_eq!(with(line("cert_keySize", "LOW", "x")), ["cert_keySize: LOW: x"]);
    // A reason is for what it was written of, and for nothing else that the same check finds.
    assert_eq!(with(line("cert_expirationStatus", "MEDIUM", "expires < 60 days (30)")), Vec::<String>::new());
    assert_eq!(with(line("cert_notAfter", "MEDIUM", "2026-12-27 00:00")), Vec::<String>::new());
    for (id, severity, finding) in [
        ("cert_expirationStatus", "CRITICAL", "expired"),
        ("cert_expirationStatus", "HIGH", "expires < 30 days (2)"),
        ("cert_notAfter", "CRITICAL", "2026-10-27 00:00"),
        ("cert_revocation", "CRITICAL", "revoked"),
        ("DNS_CAArecord", "LOW", "of another authority"),
    ] {
        assert_eq!(with(line(id, severity, finding)), [format!("{id}: {severity}: {finding}")]);
    }
    assert_eq!(judge(&Value::Array(lines[1..].to_vec())).wrong, ["SSLv2 is [], expected not offered"]);
    assert_eq!(judge(&Value::Null).wrong.len(), DEMANDED.len());
}
