//! Reads the written files back and folds them in the plainest way: last version of a row wins. Shares no code with
//! the generator.

use jiff::civil::{Date, date};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub type Row = BTreeMap<String, String>;

/// The as-of date of the England read here.
const AS_OF: Date = date(2026, 11, 22);

/// Days since an early date; only differences matter.
fn day_number(text: &str) -> i32 {
    let day: Date = text[..10].parse().unwrap();
    (day - date(1900, 1, 1)).get_days()
}

pub fn as_of() -> i32 {
    day_number(&AS_OF.to_string())
}

#[derive(Default)]
pub struct Plan {
    pub kind: String,
    pub authority: String,
    pub start: i32,
    pub end: Option<i32>,
    pub shielded: bool,
    pub remarks: Vec<String>,
    texts: (String, String),
}

impl Plan {
    pub fn state(&self) -> &'static str {
        if self.remarks.iter().any(|remark| remark == "withdrawn") {
            "withdrawn"
        } else if self.start > as_of() {
            "future"
        } else if self.end.is_some_and(|end| end < as_of()) {
            "ended"
        } else {
            "active"
        }
    }
}

#[derive(Default)]
pub struct Visit {
    pub trust: String,
    pub day_number: i32,
    pub left_day_number: Option<i32>,
    pub outcome: String,
    version: u32,
}

#[derive(Default)]
pub struct Person {
    pub births: BTreeSet<i32>,
    pub birth_texts: BTreeSet<String>,
    pub plans: Vec<Plan>,
    pub visits: Vec<Visit>,
}

#[derive(Deserialize)]
pub struct Line {
    pub scenario: String,
    pub nhs_number: String,
    pub date_of_birth: String,
    pub ask_as: String,
    pub number_traced: bool,
    pub expect: Value,
}

pub struct England {
    pub root: PathBuf,
    pub people: BTreeMap<String, Person>,
    pub truth: Vec<Line>,
    _kept: tempfile::TempDir,
}

/// One England at scale 0.01, written once for all tests.
pub fn england() -> &'static England {
    static ENGLAND: OnceLock<England> = OnceLock::new();
    ENGLAND.get_or_init(|| {
        let kept = tempfile::tempdir().unwrap();
        let root = kept.path().join("england");
        let scale = "0.01".parse().unwrap();
        kith_synth::generate(&kith_synth::Request { seed: 1, scale, as_of: AS_OF, out: root.clone() }).unwrap();
        let text = std::fs::read_to_string(root.join("truth.jsonl")).unwrap();
        let truth = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut england = England { root, people: BTreeMap::new(), truth, _kept: kept };
        england.read_plans();
        england.read_visits();
        england
    })
}

/// The rows of a table; a plan file says in a line before its columns that it is the first one.
pub fn read_table(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.strip_prefix("kith-plans,1,1,changes\n").unwrap_or(&text);
    assert_eq!(table.len() < text.len(), path.parent().unwrap().ends_with("plans"));
    csv::Reader::from_reader(table.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
}

impl England {
    pub fn table(&self, relative: &str) -> Vec<Row> {
        read_table(&self.root.join(relative))
    }

    /// Every file of a folder: its code and its rows.
    pub fn folder(&self, name: &str) -> impl Iterator<Item = (String, Vec<Row>)> {
        let entries = std::fs::read_dir(self.root.join(name)).unwrap();
        let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.into_iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read_table(&path)))
    }

    pub fn has_trust(&self, code: &str) -> bool {
        self.root.join("presentations").join(format!("{code}.csv")).exists()
    }

    /// Every attendance with the birth day of the child.
    pub fn all_visits(&self) -> impl Iterator<Item = (&i32, &Visit)> {
        self.people.values().filter(|person| !person.visits.is_empty()).flat_map(|person| {
            let born = person.births.first().unwrap();
            person.visits.iter().map(move |visit| (born, visit))
        })
    }

    fn person(&mut self, row: &Row) -> &mut Person {
        let person = self.people.entry(row["nhs_number"].clone()).or_default();
        if !row["date_of_birth"].is_empty() {
            person.births.insert(day_number(&row["date_of_birth"]));
            person.birth_texts.insert(row["date_of_birth"].clone());
        }
        person
    }

    fn read_plans(&mut self) {
        let files: Vec<(String, Vec<Row>)> = self.folder("plans").collect();
        assert_eq!(files.len(), 153);
        for (authority, rows) in files {
            let mut named = BTreeSet::new();
            for row in rows {
                let identity = match row["reference"].as_str() {
                    "" => (row["nhs_number"].clone(), row["plan"].clone(), row["start"].clone()),
                    reference => (row["nhs_number"].clone(), reference.to_owned(), String::new()),
                };
                assert!(named.insert(identity), "one row for each plan");
                self.person(&row).plans.push(plan_of(&authority, &row));
            }
        }
    }

    fn read_visits(&mut self) {
        let files: Vec<(String, Vec<Row>)> = self.folder("presentations").collect();
        assert_eq!(files.len(), 137);
        let sites = self.table("directory/sites.csv");
        let trust_of: BTreeMap<String, String> =
            sites.iter().map(|row| (row["ods_site_code"].clone(), row["organisation_code"].clone())).collect();
        for (trust, rows) in files {
            let mut visits: BTreeMap<String, (String, Visit)> = BTreeMap::new();
            for row in rows {
                assert_eq!(trust_of[&row["site"]], trust);
                self.person(&row);
                let (number, visit) = visits.entry(row["encounter_id"].clone()).or_default();
                let version = row["version"].parse().unwrap();
                assert!(version == visit.version + 1 && (number.is_empty() || *number == row["nhs_number"]));
                number.clone_from(&row["nhs_number"]);
                *visit = Visit {
                    trust: trust.clone(),
                    day_number: day_number(&row["arrived_at"]),
                    left_day_number: (!row["outcome_at"].is_empty()).then(|| day_number(&row["outcome_at"])),
                    outcome: row["outcome"].clone(),
                    version,
                };
            }
            for (number, visit) in visits.into_values() {
                self.people.get_mut(&number).unwrap().visits.push(visit);
            }
        }
    }

    /// What the files say the answer to a question must be, worked out from the rows alone.
    pub fn answer(&self, line: &Line) -> Value {
        let nobody = Person::default();
        let person = self.people.get(&line.nhs_number).unwrap_or(&nobody);
        if !person.birth_texts.is_empty() && !person.birth_texts.contains(&line.date_of_birth) {
            return json!({
                "identity": "not-confirmed", "plans": "withheld", "presentations": "withheld", "plan_list": [],
                "at_this_trust": null, "at_other_trusts": null, "beyond_window": null, "shielded": false,
            });
        }
        let shielded = person.plans.iter().any(|plan| plan.shielded);
        let count = |wanted: &dyn Fn(&Visit) -> bool| person.visits.iter().filter(|visit| wanted(visit)).count();
        let recent = |visit: &Visit| visit.day_number >= as_of() - 90;
        let here = count(&|visit| recent(visit) && visit.trust == line.ask_as);
        let elsewhere = count(&|visit| recent(visit) && visit.trust != line.ask_as);
        let plans = plan_list(person, shielded, &line.expect["plan_list"]);
        let mut answer = json!({
            "identity": "confirmed",
            "plans": if plans.is_empty() { "none-held" } else { "held" },
            "presentations": if person.visits.is_empty() { "none-held" } else { "held" },
            "plan_list": plans,
            "at_this_trust": here, "at_other_trusts": elsewhere,
            "beyond_window": count(&|visit| !recent(visit)),
            "shielded": shielded,
        });
        if shielded {
            answer["presentations_total"] = json!(here + elsewhere);
            answer["at_this_trust"] = Value::Null;
            answer["at_other_trusts"] = Value::Null;
        }
        answer
    }
}

fn plan_of(authority: &str, row: &Row) -> Plan {
    let remarks: Vec<String> =
        row["remark"].split(';').filter(|remark| !remark.is_empty()).map(ToOwned::to_owned).collect();
    let end = (!row["end"].is_empty()).then(|| row["end"].clone());
    Plan {
        kind: row["plan"].clone(),
        authority: authority.to_owned(),
        start: day_number(&row["start"]),
        end: end.as_deref().map(day_number),
        shielded: remarks.iter().any(|remark| remark == "shielded"),
        texts: (row["start"].clone(), end.unwrap_or_default()),
        remarks,
    }
}

/// The shown plans, in the order in which the truth line names them (the order means nothing).
fn plan_list(person: &Person, shielded: bool, order: &Value) -> Vec<Value> {
    let shown = person.plans.iter().filter(|plan| plan.state() != "withdrawn");
    let mut list: Vec<Value> = shown
        .map(|plan| {
            let authority = if shielded { Value::Null } else { json!(plan.authority) };
            let end = if plan.end.is_some() { json!(plan.texts.1) } else { Value::Null };
            json!({"kind": plan.kind, "authority": authority, "state": plan.state(), "start": plan.texts.0, "end": end})
        })
        .collect();
    let named = order.as_array().unwrap();
    list.sort_by_key(|plan| named.iter().position(|other| other == plan));
    list
}
