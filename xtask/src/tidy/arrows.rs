//! Who may depend on whom: the arrows between our crates, and which of them may
//! touch RocksDB, gRPC, certificates or anyhow. What is not listed is forbidden.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// Each of our packages and what of ours it may use. None: anything.
const OURS: [(&str, Option<&[&str]>); 16] = [
    ("kith-domain", Some(&[])),
    ("kith-merkle", Some(&[])),
    ("kith-slice", Some(&[])),
    ("kith-index", Some(&["kith-domain"])),
    ("kith-store", Some(&["kith-domain", "kith-merkle"])),
    ("kith-engine", Some(&["kith-domain", "kith-index", "kith-merkle", "kith-store"])),
    ("kith-api", Some(&["kith-domain"])),
    ("kith-server", Some(&["kith-domain", "kith-engine", "kith-api", "kith-merkle", "kith-slice"])),
    ("kith-cli", Some(&["kith-domain", "kith-api", "kith-merkle"])),
    ("kith-load", Some(&["kith-domain", "kith-api"])),
    ("kith-synth", Some(&["kith-domain", "kith-api"])),
    ("kith-witness", Some(&["kith-api", "kith-merkle"])),
    ("kith-tests", None),
    ("kith-benches", None),
    ("kith-fuzz", None),
    ("xtask", Some(&[])),
];

/// Packages of others (by prefix) that only some of ours may use, and why.
const OTHERS: [(&str, &[&str], &str); 9] = [
    ("rocksdb", &["kith-store"], "the store is the sole owner of RocksDB"),
    ("librocksdb", &["kith-store"], "the store is the sole owner of RocksDB"),
    ("tonic", &["kith-api", "kith-server", "kith-cli", "kith-tests", "kith-benches"], "gRPC stays at the edge"),
    (
        "prost",
        &["kith-api", "kith-server", "kith-load", "kith-tests", "kith-benches", "kith-fuzz"],
        "generated types stay at the edge",
    ),
    (
        "rustls",
        &["kith-server", "kith-cli", "kith-load", "kith-tests"],
        "certificates are the server's, the mailbox client's, and the load generator's",
    ),
    ("libc", &["kith-slice"], "a call that is not safe has one place"),
    ("x509", &["kith-api", "kith-server", "kith-tests"], "only the two ends of a connection read certificates"),
    (
        "anyhow",
        &[
            "kith-server",
            "kith-cli",
            "kith-load",
            "kith-synth",
            "kith-witness",
            "kith-tests",
            "kith-benches",
            "kith-fuzz",
            "xtask",
        ],
        "a library's errors are enums",
    ),
    (
        "clap",
        &["kith-server", "kith-cli", "kith-load", "kith-synth", "kith-witness", "kith-benches", "kith-fuzz", "xtask"],
        "only programs have a command line",
    ),
];

/// Judges the output of `cargo metadata --no-deps`.
pub fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = list(metadata, "packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = text(package, "name")?;
        let Some((_, allowed)) = OURS.iter().find(|(ours, _)| *ours == name) else {
            findings.push(about(name, "is not in the list of crates: say what it may use"));
            continue;
        };
        for dependency in list(package, "dependencies")? {
            let used = text(dependency, "name")?;
            judge(name, *allowed, used, &mut findings);
        }
    }
    Ok(findings)
}

fn judge(name: &str, allowed: Option<&[&str]>, used: &str, findings: &mut Vec<Finding>) {
    let is_ours = OURS.iter().any(|(ours, _)| *ours == used);
    if is_ours && allowed.is_some_and(|list| !list.contains(&used)) {
        findings.push(about(name, &format!("may not depend on {used}")));
    }
    for (prefix, users, why) in OTHERS {
        if used.starts_with(prefix) && !users.contains(&name) {
            findings.push(about(name, &format!("may not depend on {used}: {why}")));
        }
    }
}

fn about(name: &str, what: &str) -> Finding {
    Finding::new("Cargo.toml", 0, format!("{name} {what}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, used: &str) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": name, "dependencies": [{"name": used, "kind": null}]}
        ]});
        let findings = check(&metadata).expect("the fixture has every key");
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_arrows_of_the_design_pass() {
        for (name, used) in [
            ("kith-server", "kith-engine"),
            ("kith-engine", "kith-store"),
            ("kith-store", "rocksdb"),
            ("kith-store", "kith-merkle"),
            ("kith-tests", "kith-store"),
            ("kith-cli", "tonic"),
            ("kith-witness", "kith-merkle"),
            ("kith-server", "kith-slice"),
            ("kith-slice", "libc"),
        ] {
            assert!(found(name, used).is_empty(), "{name} -> {used}");
        }
    }

    #[test]
    fn an_arrow_against_the_design_is_found() {
        for (name, used) in [
            ("kith-domain", "kith-index"),
            ("kith-merkle", "kith-domain"),
            ("kith-index", "kith-merkle"),
            ("kith-index", "kith-store"),
            ("kith-server", "kith-store"),
            ("kith-cli", "kith-engine"),
            ("xtask", "kith-domain"),
            ("kith-engine", "tonic"),
            ("kith-server", "rocksdb"),
            ("kith-engine", "tonic-types"),
            ("kith-store", "anyhow"),
            ("kith-witness", "kith-store"),
            ("kith-store", "libc"),
            ("kith-slice", "kith-domain"),
        ] {
            assert_eq!(found(name, used).len(), 1, "{name} -> {used}");
        }
    }

    #[test]
    fn an_unknown_crate_of_ours_is_found() {
        assert!(found("kith-utils", "serde")[0].contains("not in the list"));
    }
}
