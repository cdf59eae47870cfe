//! Lays the file and the environment over the defaults, one key at a time.
//! Each key is judged alone against the defaults, so one mistake never hides another. Never stops at the first.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{Config, ENVIRONMENT_PREFIX};
use crate::mistakes::Mistakes;

/// Separates the parts of an environment variable's name.
const ENVIRONMENT_SEPARATOR: &str = "__";

/// The one table whose keys are codes, kept in capitals.
const CODE_TABLE: [&str; 2] = ["feeds", "overrides"];

struct Leaf {
    place: String,
    path: Vec<String>,
    value: Value,
}

/// The configuration with every usable key laid over the defaults, and whether the text is TOML at all; what was not usable
/// is in `mistakes`.
pub(super) fn lay(
    name: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Mistakes,
) -> (Config, bool) {
    let Ok(defaults) = Table::try_from(Config::default()) else {
        mistakes.note(name, "the default values have no TOML form");
        return (Config::default(), false);
    };
    let of_file = file_leaves(name, text, mistakes);
    let is_toml = of_file.is_some();
    let mut leaves = of_file.unwrap_or_default();
    leaves.extend(environment_leaves(&defaults, environment));

    let mut merged = defaults.clone();
    for leaf in leaves {
        let mut alone = defaults.clone();
        insert(&mut alone, &leaf.path, leaf.value.clone());
        match alone.try_into::<Config>() {
            Ok(_) => insert(&mut merged, &leaf.path, leaf.value),
            Err(error) => note_leaf(&defaults, leaf, first_line(error.message()), mistakes),
        }
    }
    let config = merged.try_into().unwrap_or_else(|error: toml::de::Error| {
        mistakes.note(name, first_line(error.message()));
        Config::default()
    });
    (config, is_toml)
}

/// Notes what is wrong with a value: of a list, each element at fault.
fn note_leaf(defaults: &Table, leaf: Leaf, what: String, mistakes: &mut Mistakes) {
    let Leaf { place, path, value } = leaf;
    let mut any = false;
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        let mut alone = defaults.clone();
        insert(&mut alone, &path, Value::Array(vec![item.clone()]));
        if let Err(error) = alone.try_into::<Config>() {
            any = true;
            mistakes.note(format!("{place}[{at}]"), first_line(error.message()));
        }
    }
    if !any {
        mistakes.note(place, what);
    }
}

/// Every key of the file; `None` when it is no TOML.
fn file_leaves(name: &str, text: &str, mistakes: &mut Mistakes) -> Option<Vec<Leaf>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        mistakes.note(format!("{name}:{line}"), first_line(error.message()));
    }
    if !errors.is_empty() {
        return None;
    }
    let table = match toml::from_str::<Table>(text) {
        Ok(table) => table,
        Err(error) => {
            mistakes.note(name, first_line(error.message()));
            return None;
        }
    };
    let mut lines = HashMap::new();
    collect_lines(text, document.get_ref(), &mut Vec::new(), &mut lines);
    let mut leaves = Vec::new();
    collect_leaves(&table, &mut Vec::new(), &mut |path, value| {
        let line = lines.get(path).copied().unwrap_or(1);
        let place = format!("{name}:{line}: {}", path.join("."));
        leaves.push(Leaf { place, path: path.to_vec(), value: value.clone() });
    });
    Some(leaves)
}

fn environment_leaves(defaults: &Table, environment: impl IntoIterator<Item = (String, String)>) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = environment
        .into_iter()
        .filter_map(|(key, text)| {
            let path = environment_path(key.strip_prefix(ENVIRONMENT_PREFIX)?);
            let value = environment_value(defaults, &path, text);
            Some(Leaf { place: key, path, value })
        })
        .collect();
    leaves.sort_by(|a, b| a.place.cmp(&b.place));
    leaves
}

fn environment_path(name: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for part in name.split(ENVIRONMENT_SEPARATOR) {
        let is_code = path.len() == CODE_TABLE.len() && path == CODE_TABLE;
        path.push(if is_code { part.to_owned() } else { part.to_lowercase() });
    }
    path
}

/// A text key takes the text as it is; any other is read as a TOML value, so that `5` is a number.
fn environment_value(defaults: &Table, path: &[String], text: String) -> Value {
    let parsed = || toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value");
    match lookup(defaults, path) {
        Some(Value::String(_)) => Value::String(text),
        Some(_) | None => parsed().unwrap_or(Value::String(text)),
    }
}

fn lookup<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    if !inner.is_table() {
        *inner = Value::Table(Table::new());
    }
    if let Some(inner) = inner.as_table_mut() {
        insert(inner, rest, value);
    }
}

fn collect_leaves(table: &Table, path: &mut Vec<String>, visit: &mut dyn FnMut(&[String], &Value)) {
    for (key, value) in table {
        path.push(key.clone());
        match value.as_table() {
            // An empty table is a leaf of its own, so that an unknown empty section is noticed.
            Some(inner) if is_section(path) && !inner.is_empty() => collect_leaves(inner, path, visit),
            Some(_) | None => visit(path, value),
        }
        path.pop();
    }
}

/// Whether tables at this path are walked into: sections, and the table of codes.
fn is_section(path: &[String]) -> bool {
    path.len() == 1 || path == CODE_TABLE
}

fn collect_lines(text: &str, table: &DeTable<'_>, path: &mut Vec<String>, lines: &mut HashMap<Vec<String>, usize>) {
    for (key, value) in table.iter() {
        path.push(key.get_ref().to_string());
        lines.insert(path.clone(), line_of(text, key.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(text, inner, path, lines);
        }
        path.pop();
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
