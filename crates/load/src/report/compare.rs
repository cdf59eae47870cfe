//! Two outcomes beside each other, as ratios, with what keeps them from being comparable.

use std::fmt::Write as _;

use crate::outcome::{Figures, Outcome};

use super::time;

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

fn block(out: &mut String, kind: &str, one: &Figures, two: &Figures) -> std::fmt::Result {
    let mut line = |what: &str, a: String, b: String, ratio: Option<f64>| {
        let ratio =
            ratio.filter(|ratio| ratio.is_finite()).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        writeln!(out, "{:<30} {a:>12} {b:>12} {ratio:>9}", format!("{kind}: {what}"))
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
