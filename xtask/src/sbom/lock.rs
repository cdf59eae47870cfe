//! Reads `Cargo.lock` and what `cargo tree` prints, as far as the list of what is in it needs them.

use std::collections::{BTreeMap, BTreeSet};

use super::Package;

/// Every package of the lock file, with its hash where it has one.
pub fn packages(text: &str) -> BTreeMap<Package, Option<String>> {
    let mut found = BTreeMap::new();
    for block in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let mut lines = block.lines().take_while(|line| !line.starts_with("dependencies"));
            let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            line.strip_suffix('"').map(str::to_owned)
        };
        if let (Some(name), Some(version)) = (value("name"), value("version")) {
            found.insert((name, version), value("checksum"));
        }
    }
    found
}

/// Names and versions of `cargo tree --prefix none --format {p}`.
pub fn tree(text: &str) -> BTreeSet<Package> {
    let packages = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some((name.to_owned(), version.to_owned()))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_their_hashes() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"ff\"\n\
            dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let found: Vec<_> = packages(text).into_iter().collect();
        let key = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(found, [(key("a", "1.0.0"), Some("ff".to_owned())), (key("b", "2.0.0"), None)]);
    }

    #[test]
    fn lines_of_a_tree_are_read() {
        let text =
            "kith-server v0.1.0 (/somewhere)\nring v0.17.14\nring v0.17.14 (*)\n\nserde_derive v1.0.0 (proc-macro)\n";
        let names: Vec<_> = tree(text).into_iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(names, ["kith-server 0.1.0", "ring 0.17.14", "serde_derive 1.0.0"]);
    }
}
