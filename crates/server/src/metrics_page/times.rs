//! The histograms of the page: how long answers, the audit and the access history take.

use std::fmt::Write as _;

use kith_engine::{BOUNDS_NS, Counted, Times};

use super::Page;
use crate::answer_times::AnswerTimes;

const NS_PER_SECOND: f64 = 1e9;
/// Sums are told in steps of the least bound: finer ones could be told apart for one question by what was found.
const SUM_STEP_NS: u64 = BOUNDS_NS[0];

pub(super) fn times(page: &mut Page, answering: &AnswerTimes, times: &Times) {
    let AnswerTimes { lookup, check_in, worklist_entry } = answering;
    let calls = [("lookup", lookup), ("check_in", check_in), ("worklist_entry", worklist_entry)];
    histogram(
        page,
        "kith_answer_seconds",
        "From a decoded question to its encoded answer; a check-in with its recording.",
        &calls.map(|(call, times)| (format!("call=\"{call}\""), times.read())),
    );
    let Times { audit_accepted, audit_unsynced, history_lag } = *times;
    let alone = |page: &mut Page, name, help, counted| histogram(page, name, help, &[(String::new(), counted)]);
    alone(
        page,
        "kith_audit_accepted_seconds",
        "From an audit entry's turn until its answer might leave: in the kernel or on disk, as the mode asks.",
        audit_accepted,
    );
    alone(
        page,
        "kith_audit_unsynced_window_seconds",
        "Age of the oldest audit entry of a sync when it ended: what a power cut could have taken.",
        audit_unsynced,
    );
    alone(
        page,
        "kith_history_lag_seconds",
        "From a question until its access history was in the log, by the time of day.",
        history_lag,
    );
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / NS_PER_SECOND
}

/// One family of histograms; each has its labels, written already.
fn histogram(page: &mut Page, name: &str, help: &str, values: &[(String, Counted)]) {
    // Writing to a text cannot fail.
    let _ = writeln!(page.0, "# HELP {name} {help}\n# TYPE {name} histogram");
    for (labels, counted) in values {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = BOUNDS_NS.map(|bound| seconds(bound).to_string());
        let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
        for (bound, count) in bounds.zip(counted.cumulative) {
            let _ = writeln!(page.0, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = seconds(counted.sum_ns / SUM_STEP_NS * SUM_STEP_NS);
        let _ = writeln!(page.0, "{name}_sum{braced} {sum}\n{name}_count{braced} {}", counted.count());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kith_engine::Histogram;

    use super::*;

    #[test]
    fn a_histogram_is_written_as_prometheus_reads_it() {
        let observed = Histogram::default();
        for microseconds in [3, 26, 1_000, 20_000_000] {
            observed.observe(Duration::from_micros(microseconds));
        }
        let mut page = Page::default();
        histogram(&mut page, "x_seconds", "Help.", &[("a=\"b\"".into(), observed.read())]);
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(
            lines[..3],
            ["# HELP x_seconds Help.", "# TYPE x_seconds histogram", "x_seconds_bucket{a=\"b\",le=\"0.00001\"} 1"]
        );
        for line in [
            "x_seconds_bucket{a=\"b\",le=\"0.000025\"} 1",
            "x_seconds_bucket{a=\"b\",le=\"0.00005\"} 2",
            "x_seconds_bucket{a=\"b\",le=\"0.001\"} 3",
            "x_seconds_bucket{a=\"b\",le=\"10\"} 3",
            "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 4",
            "x_seconds_count{a=\"b\"} 4",
            // 20.001029 s, in steps of ten microseconds.
            "x_seconds_sum{a=\"b\"} 20.00102",
        ] {
            assert!(lines.contains(&line), "{line}\n{}", page.0);
        }
        assert_eq!(lines.len(), 2 + BOUNDS_NS.len() + 1 + 2);
    }
}
