//! C and C++ that packages bring along as source and compile: no lock file of ours names their versions, so these are read
//! from the very headers that are compiled. A package that no longer has such a header fails the list.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::text;

/// One of them.
pub struct Part {
    /// The package that brings it.
    pub package: &'static str,
    name: &'static str,
    /// Owner and repository of its source.
    source: &'static str,
    licence: &'static str,
    /// The header, in the package, and the macros that make up its version.
    header: &'static str,
    macros: &'static [&'static str],
}

pub const PARTS: [Part; 3] = [
    Part {
        package: "librocksdb-sys",
        name: "rocksdb",
        source: "facebook/rocksdb",
        licence: "Apache-2.0 OR GPL-2.0-only",
        header: "rocksdb/include/rocksdb/version.h",
        macros: &["ROCKSDB_MAJOR", "ROCKSDB_MINOR", "ROCKSDB_PATCH"],
    },
    Part {
        package: "lz4-sys",
        name: "lz4",
        source: "lz4/lz4",
        licence: "BSD-2-Clause",
        header: "liblz4/lib/lz4.h",
        macros: &["LZ4_VERSION_MAJOR", "LZ4_VERSION_MINOR", "LZ4_VERSION_RELEASE"],
    },
    Part {
        package: "libmimalloc-sys",
        name: "mimalloc",
        source: "microsoft/mimalloc",
        licence: "MIT",
        header: "c_src/mimalloc/v3/include/mimalloc.h",
        macros: &["MI_MALLOC_VERSION"],
    },
];

impl Part {
    /// As a component of the list.
    pub fn component(&self, package: &Value) -> Result<Value> {
        let folder = Path::new(text(package, "manifest_path")).parent().context("a package without a folder")?;
        let header = folder.join(self.header);
        let source = std::fs::read_to_string(&header).with_context(|| {
            format!("failed to read {}: where does {} say its version now?", header.display(), self.name)
        })?;
        let version = version(&source, self.macros).with_context(|| format!("{} says no version", self.header))?;
        let purl = format!("pkg:github/{}@v{version}", self.source);
        Ok(json!({
            "type": "library", "bom-ref": purl, "name": self.name, "version": version, "scope": "required", "purl": purl,
            "licenses": [{"expression": self.licence}],
            "properties": [{"name": "kith:use", "value": format!("compiled from the source in {}", self.package)}],
        }))
    }
}

/// The numbers of the macros with dots between; a single number is major and two digits each of minor and patch.
fn version(header: &str, macros: &[&str]) -> Option<String> {
    let value = |name: &str| {
        header.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next())?
        })
    };
    let numbers: Vec<u32> = macros.iter().map(|name| value(name)?.parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [whole] => Some(format!("{}.{}.{}", whole / 10_000, whole / 100 % 100, whole % 100)),
        [major, minor, patch] => Some(format!("{major}.{minor}.{patch}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_headers() {
        let header =
            "// no\n#define X_MAJOR 11\n#define X_MINOR    8  /* note */\n#define X_PATCH 1\n#define Y 30302 // note\n";
        assert_eq!(version(header, &["X_MAJOR", "X_MINOR", "X_PATCH"]).as_deref(), Some("11.8.1"));
        assert_eq!(version(header, &["Y"]).as_deref(), Some("3.3.2"));
        assert_eq!(version(header, &["Z"]), None);
    }
}
