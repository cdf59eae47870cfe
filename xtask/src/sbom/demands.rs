//! What a list has to be: what the schema of CycloneDX 1.6 demands of the parts that we use, and that it has every package of
//! the lock file and no other. The schema refuses unknown keys, and so does this.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Package, text};

const TOP: [&str; 7] = ["$schema", "bomFormat", "specVersion", "version", "metadata", "components", "dependencies"];
const METADATA: [&str; 2] = ["component", "lifecycles"];
const COMPONENT: [&str; 9] =
    ["type", "bom-ref", "name", "version", "scope", "purl", "licenses", "hashes", "properties"];
const TYPES: [&str; 2] = ["application", "library"];
const SCOPES: [&str; 3] = ["required", "optional", "excluded"];

/// What is wrong by the schema.
pub fn of_the_schema(bom: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    keys("the list", bom, &TOP, &["bomFormat", "specVersion"], &mut wrong);
    for (key, expected) in [("bomFormat", "CycloneDX"), ("specVersion", "1.6")] {
        if bom[key] != expected {
            wrong.push(format!("{key} is {}, expected {expected}", bom[key]));
        }
    }
    if bom["version"].as_u64().is_none_or(|version| version < 1) {
        wrong.push("version is no number from 1".into());
    }
    keys("metadata", &bom["metadata"], &METADATA, &[], &mut wrong);
    let mut references = BTreeSet::new();
    let components = bom["components"].as_array().into_iter().flatten();
    for one in components.chain([&bom["metadata"]["component"]]) {
        component(one, &mut wrong);
        if !references.insert(text(one, "bom-ref")) {
            wrong.push(format!("{} stands twice", text(one, "bom-ref")));
        }
    }
    let mut from = BTreeSet::new();
    for dependency in bom["dependencies"].as_array().into_iter().flatten() {
        keys("a dependency", dependency, &["ref", "dependsOn"], &["ref"], &mut wrong);
        let to = dependency["dependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for reference in to.chain([text(dependency, "ref")]) {
            if !references.contains(reference) {
                wrong.push(format!("{reference} is depended on, and no component"));
            }
        }
        if !from.insert(text(dependency, "ref")) {
            wrong.push(format!("{} depends twice", text(dependency, "ref")));
        }
    }
    wrong.extend(references.difference(&from).map(|one| format!("nothing is said of what {one} depends on")));
    wrong
}

fn keys(what: &str, value: &Value, known: &[&str], demanded: &[&str], wrong: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        wrong.push(format!("{what} is no object"));
        return;
    };
    wrong.extend(object.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("{what} has a {key}")));
    wrong.extend(demanded.iter().filter(|key| !object.contains_key(**key)).map(|key| format!("{what} has no {key}")));
}

fn component(one: &Value, wrong: &mut Vec<String>) {
    let name = format!("component {}", text(one, "bom-ref"));
    keys(&name, one, &COMPONENT, &["type", "bom-ref", "name", "version", "licenses"], wrong);
    let mut find = |good: bool, what: &str| {
        if !good {
            wrong.push(format!("{name}: {what}"));
        }
    };
    find(TYPES.contains(&text(one, "type")), "its type is none");
    find(one.get("scope").is_none_or(|_| SCOPES.contains(&text(one, "scope"))), "its scope is none");
    find(!text(one, "bom-ref").is_empty() && !text(one, "version").is_empty(), "an empty name or version");
    find(one.get("purl").is_none_or(|_| is_purl(text(one, "purl"))), "its package URL is none");
    for hash in one["hashes"].as_array().into_iter().flatten() {
        let content = text(hash, "content");
        let is_hex = content.len() == 64 && content.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        find(hash["alg"] == "SHA-256" && is_hex, "its hash is none");
    }
    let licences = one["licenses"].as_array().map_or(&[][..], Vec::as_slice);
    let is_licence = |licence: &Value| {
        let expression = text(licence, "expression");
        (!expression.is_empty() && !expression.contains('/')) || !text(&licence["license"], "name").is_empty()
    };
    find(licences.len() == 1 && licences.iter().all(is_licence), "its licence is none");
}

fn is_purl(purl: &str) -> bool {
    let rest = purl.strip_prefix("pkg:cargo/").or_else(|| purl.strip_prefix("pkg:github/"));
    rest.is_some_and(|rest| !rest.contains('+') && rest.split('@').count() == 2)
}

/// What the lock file has and the list has not, the reverse, and hashes that differ.
pub fn of_the_lock(bom: &Value, locked: &BTreeMap<Package, Option<String>>) -> Vec<String> {
    let mut listed = BTreeMap::new();
    for one in bom["components"].as_array().into_iter().flatten() {
        if !text(one, "bom-ref").starts_with("pkg:github/") {
            let hash = one["hashes"][0]["content"].as_str().map(str::to_owned);
            listed.insert((text(one, "name").to_owned(), text(one, "version").to_owned()), hash);
        }
    }
    let all: BTreeSet<&Package> = listed.keys().chain(locked.keys()).collect();
    let shown = |(name, version): &Package| format!("{name} {version}");
    let judged = all.into_iter().filter_map(|package| match (listed.get(package), locked.get(package)) {
        (Some(listed), Some(locked)) if listed == locked => None,
        (Some(_), Some(_)) => Some(format!("{}: another hash than the lock file's", shown(package))),
        (None, _) => Some(format!("{} is in the lock file and not listed", shown(package))),
        (_, None) => Some(format!("{} is listed and not in the lock file", shown(package))),
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        let component = |reference: &str, name: &str| {
            json!({"type": "library", "bom-ref": reference, "name": name, "version": "1.0.0", "scope": "required",
                "licenses": [{"expression": "MIT"}], "purl": "pkg:cargo/a@1.0.0",
                "hashes": [{"alg": "SHA-256", "content": "0a".repeat(32)}]})
        };
        let mut root = component("kith", "kith");
        root["type"] = json!("application");
        json!({
            "$schema": "x", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {"component": root},
            "components": [component("pkg:cargo/a@1.0.0", "a")],
            "dependencies": [{"ref": "kith", "dependsOn": ["pkg:cargo/a@1.0.0"]}, {"ref": "pkg:cargo/a@1.0.0", "dependsOn": []}],
        })
    }

    /// One change of a good list, and how many things are then wrong.
    type Change = (&'static str, fn(&mut Value));

    #[test]
    fn each_demand_goes_red() {
        assert_eq!(of_the_schema(&good()), Vec::<String>::new());
        let changes: [Change; 12] = [
            ("an unknown key", |bom| bom["times"] = json!(1)),
            ("another version", |bom| bom["specVersion"] = json!("1.5")),
            ("version nought", |bom| bom["version"] = json!(0)),
            ("an unknown key of a component", |bom| bom["components"][0]["licence"] = json!("MIT")),
            ("no type", |bom| bom["components"][0]["type"] = json!("crate")),
            ("no scope", |bom| bom["components"][0]["scope"] = json!("dev")),
            ("no package URL", |bom| bom["components"][0]["purl"] = json!("pkg:cargo/a@1.0.0+c")),
            ("no hash", |bom| bom["components"][0]["hashes"][0]["content"] = json!("zz")),
            ("no licence", |bom| bom["components"][0]["licenses"] = json!([])),
            ("a slash", |bom| bom["components"][0]["licenses"][0]["expression"] = json!("MIT/ISC")),
            ("an unknown reference", |bom| bom["dependencies"][0]["dependsOn"] = json!(["b"])),
            ("no dependencies", |bom| bom["dependencies"] = json!([{"ref": "kith"}])),
        ];
        for (what, change) in changes {
            let mut bom = good();
            change(&mut bom);
            assert_eq!(of_the_schema(&bom).len(), 1, "{what}: {:?}", of_the_schema(&bom));
        }
        let mut twice = good();
        twice["components"] = json!([twice["components"][0], twice["components"][0]]);
        assert_eq!(of_the_schema(&twice), ["pkg:cargo/a@1.0.0 stands twice"]);
    }

    #[test]
    fn a_list_that_is_not_the_lock_files_is_found() {
        let hash = Some("0a".repeat(32));
        let key = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        assert_eq!(of_the_lock(&good(), &[(key("a"), hash.clone())].into()), Vec::<String>::new());
        let more = of_the_lock(&good(), &[(key("a"), hash.clone()), (key("b"), None)].into());
        assert_eq!(more, ["b 1.0.0 is in the lock file and not listed"]);
        assert_eq!(of_the_lock(&good(), &BTreeMap::new()), ["a 1.0.0 is listed and not in the lock file"]);
        assert_eq!(of_the_lock(&good(), &[(key("a"), None)].into()), ["a 1.0.0: another hash than the lock file's"]);
    }
}
