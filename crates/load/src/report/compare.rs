//! Two outcomes beside each other, as ratios, with what keeps them from being comparable.

use std::fmt::Write as _;

use crate::outcome::{Drain, Figures, Outcome};

use super::{count, time};

/// Where there is no figure, or no ratio of two.
const NONE: &str = "-";

/// The second outcome over the first, as text.
#[must_use]
pub fn compare(first: &Outcome, second: &Outcome) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut out, first, second);
    out
}

fn name<'a>(outcome: &'a Outcome, otherwise: &'a str) -> &'a str {
    if outcome.label.is_empty() { otherwise } else { &outcome.label }
}

fn write(out: &mut String, first: &Outcome, second: &Outcome) -> std::fmt::Result {
    writeln!(out, "A: {} ({}, {})", name(first, "A"), first.started_at, first.plan.shape.words())?;
    writeln!(out, "B: {} ({}, {})", name(second, "B"), second.started_at, second.plan.shape.words())?;
    for (which, outcome) in [("A", first), ("B", second)] {
        if outcome.void {
            writeln!(
                out,
                "VOID: {which} missed its own schedule: nothing below may be used. {}",
                outcome.void_reasons.join("; ")
            )?;
        }
        if outcome.verification.wrong > 0 {
            writeln!(out, "WRONG: {which} had answers that differ from what is true: stop, and find out why")?;
        }
        outcome.failures.iter().try_for_each(|failure| writeln!(out, "FAILED: {which}: {failure}"))?;
    }
    differences(first, second).iter().try_for_each(|what| writeln!(out, "NOT THE SAME: {what}"))?;
    writeln!(out, "\n{:<30} {:>12} {:>12} {:>9}", "", "A", "B", "B / A")?;
    if let (Some(one), Some(two)) = (&first.lookups, &second.lookups) {
        block(out, "all lookups", one, two)?;
    }
    for (kind, one) in &first.kinds {
        if let Some(two) = second.kinds.get(kind) {
            block(out, kind, one, two)?;
        }
    }
    block(out, "all", &first.total, &second.total)?;
    beside(out, first, second)?;
    writeln!(
        out,
        "\nOne run of each says little: machines are shared, and two runs of the very same program differ too. Measure A B A B ...\n\
         at least five times, compare medians, and hold the difference against that of A with A: a smaller one is undecided."
    )
}

/// What is not the same in the two plans and machines.
fn differences(first: &Outcome, second: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let json = |outcome: &Outcome| serde_json::to_value(&outcome.plan).unwrap_or_default();
    if let (Some(one), Some(two)) = (json(first).as_object(), json(second).as_object()) {
        for (field, value) in one {
            let other = two.get(field).unwrap_or(&serde_json::Value::Null);
            if value != other {
                found.push(format!("{field}: {value} in A, {other} in B"));
            }
        }
    }
    let machines = [&first.machine, &second.machine];
    let [one, two] = machines.map(|machine| (&machine.cpu, machine.cores, machine.memory_bytes, &machine.kernel));
    if one != two {
        found.push("the machine of the generator".to_owned());
    }
    found
}

/// A row; two figures that make no ratio have a dash.
fn row(out: &mut String, what: &str, (a, b): (String, String), ratio: Option<f64>) -> std::fmt::Result {
    let ratio = ratio.filter(|ratio| ratio.is_finite()).map_or_else(|| NONE.to_owned(), |ratio| format!("{ratio:.3}"));
    writeln!(out, "{what:<30} {a:>12} {b:>12} {ratio:>9}")
}

fn block(out: &mut String, kind: &str, one: &Figures, two: &Figures) -> std::fmt::Result {
    let mut line = |what: &str, a: String, b: String, ratio: Option<f64>| {
        let what = format!("{kind}: {what}");
        row(out, &what, (a, b), ratio)
    };
    let (a, b) = (one.ok_per_second, two.ok_per_second);
    line("answered per second", format!("{a:.1}"), format!("{b:.1}"), Some(b / a))?;
    let of = |figures: &Figures| {
        let latency = &figures.latency_ns;
        [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max]
    };
    for ((what, a), b) in ["p50", "p90", "p99", "p99.9", "longest"].into_iter().zip(of(one)).zip(of(two)) {
        line(what, time(a), time(b), Some(b as f64 / a as f64))?;
    }
    let (a, b) = (one.within_1ms_share * 100.0, two.within_1ms_share * 100.0);
    line("within 1 ms", format!("{a:.2} %"), format!("{b:.2} %"), None)?;
    line("failed", one.failed.to_string(), two.failed.to_string(), None)
}

/// What an answer cost the server, whether answers are true, and how far what follows them was behind.
fn beside(out: &mut String, first: &Outcome, second: &Outcome) -> std::fmt::Result {
    let both = [first, second];
    let spent = both.map(|outcome| outcome.generator.server_cpu_ns_per_answer);
    let ratio = spent[0].zip(spent[1]).map(|(a, b)| b / a);
    told(out, "server: processor, an answer", spent, ratio, |ns| time(ns as u64))?;
    let held = both.map(|outcome| Some(&outcome.verification).filter(|held| held.checked > 0));
    told(out, "answers held against the truth", held, None, |held| count(held.checked))?;
    told(out, "of them WRONG", held, None, |held| count(held.wrong))?;
    told(out, "of them could not say", held, None, |held| count(held.cannot_say))?;
    let drains = both.map(|outcome| outcome.drain.as_ref());
    told(out, "history: entries behind", drains, None, |drain| count(drain.entries_behind))?;
    told(out, "history: caught up after", drains, None, caught_up)?;
    if drains.iter().any(Option::is_some) {
        writeln!(
            out,
            "history: audit entries whose access history and notifications were not written when the load ended, and until they were"
        )?;
    }
    Ok(())
}

/// A row of a figure that outcomes may lack. One that lacks it has a dash, and not a nought: nobody looked. No row where both do.
fn told<T>(
    out: &mut String,
    what: &str,
    figures: [Option<T>; 2],
    ratio: Option<f64>,
    words: impl Fn(T) -> String,
) -> std::fmt::Result {
    if figures.iter().all(Option::is_none) {
        return Ok(());
    }
    let [a, b] = figures.map(|figure| figure.map_or_else(|| NONE.to_owned(), &words));
    row(out, what, (a, b), ratio)
}

fn caught_up(drain: &Drain) -> String {
    if drain.complete { format!("{:.2} s", drain.seconds) } else { "NOT DRAINED".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::machine::Machine;
    use crate::outcome::{FORMAT, Generator, Handshakes, Lateness, Verification};
    use crate::plan::{Plan, Shape};

    fn plan() -> Plan {
        Plan {
            shape: Shape::Closed,
            mix: BTreeMap::new(),
            connections: 8,
            authority_connections: 0,
            in_flight: 16,
            churn_per_second: 0.0,
            threads: 1,
            warm_up_seconds: 0.5,
            seconds: 4.0,
            timeout_ms: 1_000,
            seed: 1,
            truth_percent: 10.0,
            verify_percent: 100.0,
            worklist_entries: 20,
            file_interval_ms: None,
            file_snapshots: false,
            file_rows: 0,
            file_changed_percent: 0.0,
            late_bound_us: 1_000,
            late_percent: 1.0,
            real_time: false,
        }
    }

    fn outcome(server_ns: Option<f64>, verification: Verification, drain: Option<Drain>) -> Outcome {
        Outcome {
            format: FORMAT.to_owned(),
            version: String::new(),
            command: "run".to_owned(),
            label: String::new(),
            started_at: String::new(),
            plan: plan(),
            machine: Machine::default(),
            void: false,
            void_reasons: Vec::new(),
            failures: Vec::new(),
            measured_seconds: 4.0,
            measured_from_unix_ms: 0,
            total: Figures::default(),
            lookups: None,
            kinds: BTreeMap::new(),
            lateness: Lateness::default(),
            generator: Generator { server_cpu_ns_per_answer: server_ns, ..Generator::default() },
            verification,
            handshakes: Handshakes::default(),
            counters: None,
            drain,
            over_time: Vec::new(),
            knee: None,
            storm: None,
        }
    }

    /// What stands in the columns of a row.
    fn columns<'a>(table: &'a str, what: &str) -> Option<Vec<&'a str>> {
        table.lines().find_map(|line| line.strip_prefix(what)).map(|rest| rest.split_whitespace().collect())
    }

    #[test]
    fn what_the_server_spent_what_is_wrong_and_what_was_behind_stand_beside_each_other() {
        let held = |wrong| Verification { checked: 1_200, wrong, cannot_say: 3, ..Verification::default() };
        let behind = |complete| Some(Drain { entries_behind: 4_000, seconds: 1.5, complete });
        let first = outcome(Some(20_000.0), held(0), behind(true));
        let table = compare(&first, &outcome(Some(30_000.0), held(2), behind(false)));
        let row = |what| columns(&table, what).unwrap_or_else(|| panic!("{what}: {table}")).join(" ");
        assert_eq!(row("server: processor, an answer"), "20.0 us 30.0 us 1.500");
        assert_eq!(row("answers held against the truth"), "1,200 1,200 -");
        assert_eq!(row("of them WRONG"), "0 2 -");
        assert_eq!(row("of them could not say"), "3 3 -");
        assert_eq!(row("history: entries behind"), "4,000 4,000 -");
        assert_eq!(row("history: caught up after"), "1.50 s NOT DRAINED -");
        assert!(table.contains("WRONG: B had") && !table.contains("WRONG: A had"), "{table}");
        assert!(table.lines().all(|line| line.len() < 150), "{table}");
    }

    /// A nought would say that somebody looked.
    #[test]
    fn what_nobody_looked_at_is_a_dash_beside_a_figure_and_no_row_without_one() {
        let none = outcome(None, Verification::default(), None);
        let table = compare(&none, &none);
        for what in ["server:", "answers held", "of them", "history:"] {
            assert_eq!(columns(&table, what), None, "{table}");
        }
        let held = Verification { checked: 7, ..Verification::default() };
        let table = compare(&none, &outcome(Some(30_000.0), held, Some(Drain::default())));
        assert_eq!(columns(&table, "server: processor, an answer").unwrap(), ["-", "30.0", "us", "-"]);
        assert_eq!(columns(&table, "of them WRONG").unwrap(), ["-", "0", "-"]);
        assert_eq!(columns(&table, "history: caught up after").unwrap(), ["-", "NOT", "DRAINED", "-"]);
    }
}
