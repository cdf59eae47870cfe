//! Every stable reason that the sources give for a refusal has a code in the audit.

use std::path::{Path, PathBuf};

use kith_domain::refusal_code::RefusalCode;

/// Words of the same form that are no reasons.
const OTHERS: [&str; 9] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_PKG_VERSION",
    "CREDENTIALS_DIRECTORY",
    "KITHD_CONFIG",
    "KITH_SERVER",
    "KITH__",
    "NHS_NUMBER",
    "NOTIFY_SOCKET",
    "OUT_DIR",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.to_string_lossy().contains("tests") {
            found.push(path);
        }
    }
}

/// Texts in quotation marks of the form `UPPER_SNAKE`, up to the tests of the file.
fn reasons(source: &str) -> impl Iterator<Item = &str> {
    let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let quoted = product.split('"').skip(1).step_by(2);
    quoted.filter(|text| {
        let upper = |byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        text.contains('_') && text.bytes().all(upper) && text.starts_with(|first: char| first.is_ascii_uppercase())
    })
}

#[test]
fn every_reason_in_the_sources_has_a_code() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for name in ["api", "domain", "engine", "server"] {
        sources(&crates.join(name).join("src"), &mut files);
    }
    let (mut looked_at, mut missing) = (0, Vec::new());
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        for reason in reasons(&source).filter(|reason| !OTHERS.contains(reason)) {
            looked_at += 1;
            if !RefusalCode::is_listed(reason) {
                missing.push(format!("{}: {reason}", file.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(looked_at > 150, "the search finds {looked_at} reasons");
}
