//! The report to look at: one file that needs no network, to be read by somebody who has not run anything.

use std::fmt::Write as _;

use crate::outcome::{Figures, Outcome};
use crate::plan::Shape;

use super::chart::{Axis, Line, Marks, escape, svg};
use super::{count, time};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;background:#fff;max-width:960px;margin:24px auto;\
padding:0 16px}h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 4px}p{margin:6px 0}.note{color:#444}\
table{font-size:14px;border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:8px 0}th,td{text-align:right;\
padding:4px 6px;border-bottom:1px solid #ddd;white-space:nowrap}th:first-child,td:first-child{text-align:left}table.words td:last-child{text-align:left;white-space:normal}th{font-weight:600;\
border-bottom:2px solid #888}.big{display:flex;gap:12px;flex-wrap:wrap;margin:14px 0}.big div{flex:1;min-width:150px;\
border:1px solid #ccc;border-radius:6px;padding:8px 12px}.big b{display:block;font-size:22px}.bad{border-left:6px solid \
#b00020;background:#fdecee;padding:8px 12px;margin:12px 0}.fine{border-left:6px solid #0072b2;background:#eef5fb;padding:8px \
12px;margin:12px 0}svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:#333}svg text.axis{font-size:13px;\
fill:#111}line.grid{stroke:#e3e3e3}td.failed{color:#b00020;font-weight:600}rect.band{fill:#e69f00;opacity:.25}line.mark{stroke:#b00020;stroke-dasharray:3 3}svg text.mark{fill:#b00020}.legend span\
{margin-right:18px;white-space:nowrap}.legend i{display:inline-block;width:26px;margin-right:6px;vertical-align:middle}";

/// What answers at triage are held against.
const MILLISECOND: Option<(f64, &str)> = Some((1e6, "1 ms"));

/// An outcome as a page.
#[must_use]
pub fn html(outcome: &Outcome) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = page(&mut out, outcome);
    out
}

fn title(outcome: &Outcome) -> String {
    let label = if outcome.label.is_empty() { outcome.command.as_str() } else { outcome.label.as_str() };
    format!("Kith under load: {label}")
}

fn page(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let title = escape(&title(outcome));
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>")?;
    writeln!(out, "<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>")?;
    let begun = &outcome.started_at;
    writeln!(out, "<p class=\"note\">kith-load {}, begun {begun}. {}.</p>", outcome.version, escape(&what(outcome)))?;
    verdict(out, outcome)?;
    headline(out, outcome)?;
    super::html_more::parts(out, outcome)?;
    kinds(out, outcome)?;
    by_percentile(out, outcome)?;
    over_time(out, outcome)?;
    rates(out, outcome)?;
    super::html_more::details(out, outcome)?;
    writeln!(out, "</body>\n</html>")
}

fn what(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    format!(
        "{}; {} connections with at most {} requests open on each; {:.1} s measured after {:.1} s of warm-up",
        plan.shape.words(),
        plan.connections,
        plan.in_flight,
        plan.seconds,
        plan.warm_up_seconds
    )
}

fn verdict(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if outcome.void {
        let why: Vec<String> = outcome.void_reasons.iter().map(|reason| escape(reason)).collect();
        writeln!(out, "<p class=\"bad\"><b>VOID: no figure on this page may be used.</b> {}.</p>", why.join("; "))?;
    }
    for failure in &outcome.failures {
        writeln!(out, "<p class=\"bad\"><b>FAILED:</b> {}.</p>", escape(failure))?;
    }
    let told = &outcome.verification;
    if told.checked > 0 && told.wrong == 0 {
        writeln!(
            out,
            "<p class=\"fine\">{} answers were held against what is true ({} of them in full), and none differs{}.</p>",
            count(told.checked),
            count(told.checked_in_full),
            if told.cannot_say > 0 {
                format!("; {} said for a reason that they cannot say", count(told.cannot_say))
            } else {
                String::new()
            }
        )?;
    }
    told.differences.iter().try_for_each(|what| writeln!(out, "<p class=\"bad\">WRONG: {}</p>", escape(what)))
}

fn headline(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let total = outcome.lookups.as_ref().unwrap_or(&outcome.total);
    let of = if outcome.lookups.is_some() { "lookups" } else { "requests" };
    let from =
        if matches!(outcome.plan.shape, Shape::Open { .. }) { "after they were due" } else { "after they were sent" };
    writeln!(out, "<div class=\"big\">")?;
    for (value, words) in [
        (format!("{:.0} / s", total.ok_per_second), format!("{of} answered well")),
        (time(total.latency_ns.p50), format!("half of them were answered this soon {from}")),
        (time(total.latency_ns.p99), "99 of 100 were answered this soon".to_owned()),
        (time(total.latency_ns.p99_9), "999 of 1,000 were".to_owned()),
        (count(outcome.total.failed), "requests of all kinds failed: 0 is good".to_owned()),
    ] {
        writeln!(out, "<div><b>{value}</b>{words}</div>")?;
    }
    writeln!(out, "</div>")
}

fn kinds(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(out, "<h2>Each kind of traffic</h2>\n<table><tr><th>kind</th>")?;
    for name in ["offered", "answered / s", "failed", "p50", "p90", "p99", "p99.9", "p99.99", "longest", "within 1 ms"]
    {
        write!(out, "<th>{name}</th>")?;
    }
    writeln!(out, "</tr>")?;
    outcome.kinds.iter().try_for_each(|(name, figures)| row(out, name, figures))?;
    if outcome.kinds.len() > 1 {
        if let Some(lookups) = &outcome.lookups {
            row(out, "all lookups", lookups)?;
        }
        row(out, "all", &outcome.total)?;
    }
    writeln!(out, "</table>")?;
    let open = matches!(outcome.plan.shape, Shape::Open { .. });
    let words = if open {
        "Times count from when a request was due by the schedule, so that a service that stands still is seen by every \
         request it keeps waiting. \"Within 1 ms\" is a share of all requests due; failed ones are not within it."
    } else {
        "Times count from when a request was sent; the next leaves when one is answered, so a service that stands still is \
         asked less. Read the throughput here; for waiting times use an open loop (--rate)."
    };
    let whole = outcome.kinds.keys().any(|kind| kind == "worklist" || kind == "plan-file");
    let whole =
        if whole { " A worklist and a plan file count as one request: the time is that of the whole." } else { "" };
    writeln!(out, "<p class=\"note\">{words}{whole}</p>")
}

fn row(out: &mut String, name: &str, figures: &Figures) -> std::fmt::Result {
    let latency = &figures.latency_ns;
    write!(out, "<tr><td>{}</td><td>{}</td>", escape(name), count(figures.offered))?;
    let failed = if figures.failed > 0 { " class=\"failed\"" } else { "" };
    write!(out, "<td>{:.1}</td><td{failed}>{}</td>", figures.ok_per_second, count(figures.failed))?;
    for ns in [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.p99_99, latency.max] {
        write!(out, "<td>{}</td>", time(ns))?;
    }
    writeln!(out, "<td>{:.2} %</td></tr>", figures.within_1ms_share * 100.0)
}

/// Kinds with most answers, at most so many lines.
fn lines(outcome: &Outcome) -> Vec<(&str, &Figures)> {
    const MOST: usize = 6;
    let mut found: Vec<(&str, &Figures)> =
        outcome.kinds.iter().map(|(name, figures)| (name.as_str(), figures)).collect();
    found.retain(|(_, figures)| figures.ok > 0);
    found.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.ok));
    found.truncate(MOST);
    found
}

fn by_percentile(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(out, "<h2>How long answers take, by percentile</h2>")?;
    let kinds = lines(outcome);
    let most = kinds.iter().map(|(_, figures)| figures.ok).max().unwrap_or(0);
    let low = kinds.iter().map(|(_, figures)| figures.latency_ns.min).min().unwrap_or(1);
    let high = kinds.iter().map(|(_, figures)| figures.latency_ns.max).max().unwrap_or(1);
    let drawn: Vec<Line> = kinds
        .iter()
        .map(|(name, figures)| {
            let last = 2.0 * figures.ok as f64;
            let point = |(share, ns): &(f64, u64)| ((1.0 / (1.0 - share).max(1e-12)).min(last), *ns as f64);
            Line {
                name: (*name).to_owned(),
                points: figures.latency_ns.curve.iter().map(point).collect(),
                dashed: false,
            }
        })
        .collect();
    let x = Axis::percentiles("percentile: so many of 100 answers came within the time on the left", most);
    let y = Axis::times("time (logarithmic)", low, high);
    out.push_str(&svg(&x, &y, &drawn, &Marks { level: MILLISECOND, bands: &[] }));
    writeln!(
        out,
        "<p class=\"note\">Low and flat is good. Each step to the right is ten times rarer: at 99.9, one answer in a thousand \
         took longer. A curve that climbs early means that many wait; one that climbs only at the right end, that few do.</p>"
    )
}

fn over_time(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(out, "<h2>How long answers take, over time</h2>")?;
    let slots: Vec<_> = outcome.over_time.iter().filter(|slot| slot.ok > 0).collect();
    let line = |name: &str, of: fn(&crate::outcome::Slot) -> u64, dashed| Line {
        name: name.to_owned(),
        points: slots.iter().map(|slot| (slot.at_seconds + slot.seconds / 2.0, of(slot) as f64)).collect(),
        dashed,
    };
    let low = slots.iter().map(|slot| slot.p50_ns).min().unwrap_or(1);
    let high = slots.iter().map(|slot| slot.max_ns).max().unwrap_or(1);
    let drawn = [
        line("half came within (p50)", |slot| slot.p50_ns, false),
        line("99 of 100 came within (p99)", |slot| slot.p99_ns, false),
        line("the longest", |slot| slot.max_ns, true),
    ];
    let x = seconds(outcome);
    let marks = Marks { level: MILLISECOND, bands: &storms(outcome) };
    out.push_str(&svg(&x, &Axis::times("time (logarithmic)", low, high), &drawn, &marks));
    let length = outcome.over_time.first().map_or(1.0, |slot| slot.seconds);
    writeln!(
        out,
        "<p class=\"note\">All kinds together, in slots of {length} s. Level is good. A peak is a moment at which the \
         service (or its machine) stood still; a line that climbs steadily means that it falls behind.{}</p>",
        if outcome.storm.is_some() { " Storms are shaded." } else { "" }
    )
}

/// When storms were on.
fn storms(outcome: &Outcome) -> Vec<(f64, f64)> {
    let storms = outcome.storm.iter().flat_map(|storm| &storm.storms);
    storms.map(|one| (one.at_seconds, one.at_seconds + one.until_all_back_seconds)).collect()
}

fn seconds(outcome: &Outcome) -> Axis {
    Axis::linear("seconds since the measured part began", outcome.measured_seconds.max(1.0))
}

fn rates(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(out, "<h2>Requests over time</h2>")?;
    let line = |name: &str, of: fn(&crate::outcome::Slot) -> u64, dashed| Line {
        name: name.to_owned(),
        points: outcome
            .over_time
            .iter()
            .filter(|slot| slot.seconds > 0.0)
            .map(|slot| (slot.at_seconds + slot.seconds / 2.0, of(slot) as f64 / slot.seconds))
            .collect(),
        dashed,
    };
    let drawn = [
        line("answered well", |slot| slot.ok, false),
        line("failed", |slot| slot.failed, false),
        line("due", |slot| slot.offered, true),
    ];
    let most = drawn.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(1.0, f64::max);
    out.push_str(&svg(
        &seconds(outcome),
        &Axis::linear("requests per second", most),
        &drawn,
        &Marks { level: None, bands: &storms(outcome) },
    ));
    writeln!(
        out,
        "<p class=\"note\">Good is \"answered well\" on top of \"due\", and \"failed\" at the bottom. Where \"due\" lies above, \
         requests wait or fail.</p>"
    )
}
