//! `cargo xtask sbom`: what is in it, as CycloneDX 1.6 in JSON.
//!
//! Generated, not committed: `Cargo.lock` already is the committed list, each line of it with its hash, and a second one
//! would only be something to forget. The same lock file gives the same bytes, without times or random identifiers, so
//! whoever has a release can make the list again and compare. `cargo xtask test` makes it and holds it against the lock
//! file and against what the schema demands.

mod bundled;
mod demands;
mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

/// What is deployed.
const PROGRAMS: [&str; 3] = ["kith-server", "kith-cli", "kith-witness"];
/// Where it is deployed: those of `deny.toml`.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

#[derive(Args)]
pub struct SbomArguments {
    /// The file to write (in the target directory when left out)
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Name and version.
type Package = (String, String);

/// What is known before the list is written.
struct Known {
    /// `cargo metadata`.
    metadata: Value,
    /// The lock file: hashes of what has one.
    locked: BTreeMap<Package, Option<String>>,
    /// What is linked into a program, and what a build or a test uses at all.
    linked: BTreeSet<Package>,
    used: BTreeSet<Package>,
}

/// Writes the list.
pub fn run(workspace: &Workspace, arguments: &SbomArguments) -> Result<()> {
    let (text, told) = made(workspace)?;
    let path = arguments.out.clone().unwrap_or_else(|| workspace.target().join("kith.cdx.json"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    println!("{}: {told}", path.display());
    Ok(())
}

/// Makes the list twice; both are the same bytes and what is demanded.
pub fn check(workspace: &Workspace) -> Result<Ended> {
    let (first, told) = made(workspace)?;
    let (second, _) = made(workspace)?;
    if first != second {
        bail!("the list of what is in it is another one each time");
    }
    println!("    {told}");
    Ok(Ended::Passed)
}

fn made(workspace: &Workspace) -> Result<(String, String)> {
    let known = Known::find(workspace)?;
    let bom = known.bom()?;
    let mut wrong = demands::of_the_schema(&bom);
    wrong.extend(demands::of_the_lock(&bom, &known.locked));
    if !wrong.is_empty() {
        bail!("the list of what is in it is not as demanded:\n    {}", wrong.join("\n    "));
    }
    let told = format!(
        "{} packages, {} of them linked into programs, {} C components",
        known.locked.len(),
        known.linked.len(),
        bundled::PARTS.len()
    );
    Ok((serde_json::to_string_pretty(&bom)? + "\n", told))
}

impl Known {
    fn find(workspace: &Workspace) -> Result<Self> {
        let metadata = process::capture(workspace.cargo().args(["metadata", "--locked", "--format-version", "1"]))?;
        let text = std::fs::read_to_string(workspace.path("Cargo.lock")).context("failed to read Cargo.lock")?;
        let mut known = Self {
            metadata: serde_json::from_str(&metadata).context("failed to read cargo metadata")?,
            locked: lock::packages(&text),
            linked: BTreeSet::new(),
            used: BTreeSet::new(),
        };
        for target in TARGETS {
            // Not from metadata, which also names what weak features would bring.
            let mut tree = workspace.cargo();
            tree.args(["tree", "--locked", "--target", target, "--prefix", "none", "--format", "{p}"]);
            let mut whole = workspace.cargo();
            whole.args(["tree", "--locked", "--target", target, "--prefix", "none", "--format", "{p}", "--workspace"]);
            tree.args(["--edges", "normal,no-proc-macro"]);
            tree.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
            known.linked.extend(lock::tree(&process::capture(&mut tree)?));
            known.used.extend(lock::tree(&process::capture(whole.args(["--edges", "normal,build,dev"]))?));
        }
        Ok(known)
    }

    fn bom(&self) -> Result<Value> {
        let packages = self.metadata["packages"].as_array().context("cargo metadata has no packages")?;
        let by_id: BTreeMap<&str, &Value> =
            packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
        let mut components = BTreeMap::new();
        for package in packages {
            components.insert(reference(package), self.component(package));
        }
        let mut dependencies = self.dependencies(&by_id)?;
        for part in bundled::PARTS {
            let Some(package) = packages.iter().find(|package| package["name"] == part.package) else {
                bail!("{} is not in the lock file any more: what is bundled in it is listed", part.package);
            };
            let component = part.component(package)?;
            let own = text(&component, "bom-ref").to_owned();
            dependencies.entry(reference(package)).or_default().insert(own.clone());
            dependencies.insert(own.clone(), BTreeSet::new());
            components.insert(own, component);
        }
        let version = packages.iter().find(|package| package["name"] == PROGRAMS[0]).map(|found| &found["version"]);
        let root = json!({
            "type": "application", "bom-ref": "kith", "name": "kith", "version": version,
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        });
        let programs = packages.iter().filter(|package| PROGRAMS.contains(&text(package, "name")));
        dependencies.insert("kith".into(), programs.map(reference).collect());
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(from, to)| json!({"ref": from, "dependsOn": to})).collect();
        Ok(json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {"component": root, "lifecycles": [{"phase": "pre-build"}]},
            "components": components.into_values().collect::<Vec<_>>(),
            "dependencies": dependencies,
        }))
    }

    fn component(&self, package: &Value) -> Value {
        let key = (text(package, "name").to_owned(), text(package, "version").to_owned());
        let (scope, used) = match (self.linked.contains(&key), self.used.contains(&key)) {
            (true, _) => ("required", "linked into a program"),
            (false, true) => ("excluded", "used by a build or a test alone"),
            (false, false) => ("excluded", "in the lock file and never compiled for these targets"),
        };
        let mut component = json!({
            "type": "library", "bom-ref": reference(package), "name": key.0, "version": key.1, "scope": scope,
            "licenses": licences(package),
            "properties": [{"name": "kith:use", "value": used}],
        });
        // Ours are not published: a package URL would name somebody else's package of the same name.
        if !package["source"].is_null() {
            component["purl"] = json!(reference(package));
        }
        if let Some(Some(hash)) = self.locked.get(&key) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": hash}]);
        }
        component
    }

    /// Who uses whom; what is only in the lock file is used by nobody.
    fn dependencies(&self, by_id: &BTreeMap<&str, &Value>) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let nodes = self.metadata["resolve"]["nodes"].as_array().context("cargo metadata resolved nothing")?;
        let mut found = BTreeMap::new();
        for node in nodes {
            let package =
                by_id.get(text(node, "id")).context("cargo metadata names a package that it does not list")?;
            let uses = node["deps"].as_array().into_iter().flatten().filter_map(|dep| by_id.get(text(dep, "pkg")));
            let compiled = uses
                .filter(|used| self.used.contains(&(text(used, "name").to_owned(), text(used, "version").to_owned())));
            found.insert(reference(package), compiled.map(|used| reference(used)).collect());
        }
        Ok(found)
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The package URL; of ours name and version.
fn reference(package: &Value) -> String {
    let (name, version) = (text(package, "name"), text(package, "version").replace('+', "%2B"));
    if package["source"].is_null() { format!("{name}@{version}") } else { format!("pkg:cargo/{name}@{version}") }
}

/// SPDX's OR for the slash that old packages write.
fn licences(package: &Value) -> Value {
    match package["license"].as_str() {
        Some(expression) => {
            let parts: Vec<&str> = expression.split('/').map(str::trim).collect();
            json!([{"expression": parts.join(" OR ")}])
        }
        None => json!([{"license": {"name": "see the file in the package"}}]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One program of ours with a library, a tool of its build, and a package that is only locked.
    pub fn known() -> Known {
        let package = |name: &str, version: &str, source: Value| json!({"id": name, "name": name, "version": version, "source": source, "license": "MIT/Apache-2.0"});
        let theirs = json!("registry+https://example");
        let packages = [
            package("kith-server", "0.1.0", Value::Null),
            package("used", "1.0.0+c", theirs.clone()),
            package("tool", "2.0.0", theirs.clone()),
            package("locked", "3.0.0", theirs),
        ];
        let deps = ["used", "tool", "locked"].map(|name| json!({"pkg": name}));
        let nodes: Vec<Value> = packages
            .iter()
            .map(|package| {
                let deps = if package["source"].is_null() { deps.to_vec() } else { Vec::new() };
                json!({"id": package["id"], "deps": deps})
            })
            .collect();
        let key = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let hash = Some("ab".repeat(32));
        Known {
            metadata: json!({"packages": packages, "resolve": {"nodes": nodes}}),
            locked: [
                (key("kith-server", "0.1.0"), None),
                (key("used", "1.0.0+c"), hash.clone()),
                (key("tool", "2.0.0"), hash.clone()),
                (key("locked", "3.0.0"), hash),
            ]
            .into(),
            linked: [key("kith-server", "0.1.0"), key("used", "1.0.0+c")].into(),
            used: [key("kith-server", "0.1.0"), key("used", "1.0.0+c"), key("tool", "2.0.0")].into(),
        }
    }

    #[test]
    fn a_component_says_what_it_is_and_what_it_is_used_for() {
        let known = known();
        let of = |n: usize| known.component(&known.metadata["packages"][n]);
        assert_eq!(of(0).get("purl"), None, "ours are not published");
        assert_eq!(of(1)["purl"], "pkg:cargo/used@1.0.0%2Bc");
        assert_eq!(of(1)["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(of(1)["hashes"][0]["content"], "ab".repeat(32));
        assert_eq!([of(1), of(2), of(3)].map(|one| one["scope"].clone()), ["required", "excluded", "excluded"]);
        assert_ne!(of(2)["properties"], of(3)["properties"]);
    }

    #[test]
    fn nobody_uses_what_is_never_compiled() {
        let known = known();
        let packages = known.metadata["packages"].as_array().unwrap();
        let by_id = packages.iter().map(|package| (text(package, "id"), package)).collect();
        let dependencies = known.dependencies(&by_id).unwrap();
        let expected = ["pkg:cargo/tool@2.0.0", "pkg:cargo/used@1.0.0%2Bc"].map(str::to_owned);
        assert_eq!(dependencies["kith-server@0.1.0"], expected.into());
    }

    #[test]
    fn what_is_bundled_and_gone_is_told() {
        let error = known().bom().unwrap_err().to_string();
        assert!(error.contains("librocksdb-sys is not in the lock file any more"), "{error}");
    }
}
