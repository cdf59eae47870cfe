//! The rest of the page: the search for the knee, storms, and the details that a doubt needs.

use std::fmt::Write as _;

use crate::outcome::{Knee, Outcome, Storm};

use super::chart::{Axis, Line, Marks, escape, svg};
use super::{count, time};

/// What only some commands have.
pub(super) fn parts(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if let Some(knee) = &outcome.knee {
        knee_part(out, knee)?;
    }
    if let Some(storm) = &outcome.storm {
        storm_part(out, storm)?;
    }
    Ok(())
}

fn knee_part(out: &mut String, knee: &Knee) -> std::fmt::Result {
    let bound = time(knee.p99_bound_us * 1_000);
    writeln!(out, "<h2>How much the service carries</h2>")?;
    writeln!(
        out,
        "<p class=\"fine\"><b>It carries {:.0} requests a second</b>: 99 of 100 answered within {bound}, and {:.1} % of all that \
         were due answered well. {}</p>",
        knee.carried_per_second,
        knee.goodput_bound * 100.0,
        knee.not_carried_per_second.map_or_else(
            || "Every step was carried: the knee lies above.".to_owned(),
            |rate| format!("{rate:.0} a second were too many.")
        )
    )?;
    let mut steps: Vec<_> = knee.steps.iter().filter(|step| step.latency_ns.count > 0).collect();
    steps.sort_by(|one, two| one.rate_per_second.total_cmp(&two.rate_per_second));
    let line = |name: &str, of: fn(&crate::outcome::Latency) -> u64| Line {
        name: name.to_owned(),
        points: steps.iter().map(|step| (step.rate_per_second, of(&step.latency_ns) as f64)).collect(),
        dashed: false,
    };
    let drawn = [line("p50", |l| l.p50), line("p99", |l| l.p99), line("p99.9", |l| l.p99_9)];
    let most = steps.iter().map(|step| step.rate_per_second).fold(1.0, f64::max);
    let low = steps.iter().map(|step| step.latency_ns.p50).min().unwrap_or(1);
    let high = steps.iter().map(|step| step.latency_ns.p99_9).max().unwrap_or(1);
    let (x, y) = (Axis::linear("requests due per second", most), Axis::times("time (logarithmic)", low, high));
    out.push_str(&svg(
        &x,
        &y,
        &drawn,
        &Marks { level: Some((knee.p99_bound_us as f64 * 1e3, "bound of p99")), bands: &[] },
    ));
    writeln!(
        out,
        "<p class=\"note\">The knee is where the lines turn upwards: beyond it requests queue. Run well below it.</p>"
    )?;
    writeln!(
        out,
        "<table><tr><th>due / s</th><th>answered / s</th><th>p50</th><th>p99</th><th>p99.9</th><th>within 1 ms</th><th>failed</th><th>server cores</th><th>carried</th></tr>"
    )?;
    for step in &knee.steps {
        let cores = step.server_cores.map_or_else(|| "-".to_owned(), |cores| format!("{cores:.2}"));
        let carried = if step.carried { "yes".to_owned() } else { escape(&step.why_not) };
        writeln!(
            out,
            "<tr><td>{:.0}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2} %</td><td>{}</td><td>{cores}</td><td>{carried}</td></tr>",
            step.rate_per_second,
            step.ok_per_second,
            time(step.latency_ns.p50),
            time(step.latency_ns.p99),
            time(step.latency_ns.p99_9),
            step.within_1ms_share * 100.0,
            count(step.failed)
        )?;
    }
    writeln!(out, "</table>")
}

fn storm_part(out: &mut String, storm: &Storm) -> std::fmt::Result {
    writeln!(out, "<h2>Reconnect storms: {} clients dropped, and back at once</h2>", count(storm.clients))?;
    writeln!(
        out,
        "<table><tr><th>steady clients</th><th>answered</th><th>failed</th><th>p50</th><th>p99</th><th>p99.9</th><th>longest</th></tr>"
    )?;
    for (name, figures) in [("while no storm was on", &storm.steady_quiet), ("during storms", &storm.steady_stormy)] {
        let latency = &figures.latency_ns;
        writeln!(
            out,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            count(figures.ok),
            count(figures.failed),
            time(latency.p50),
            time(latency.p99),
            time(latency.p99_9),
            time(latency.max)
        )?;
    }
    writeln!(out, "</table>\n<p class=\"note\">Good is two rows that hardly differ.</p>")?;
    writeln!(
        out,
        "<table><tr><th>storm at</th><th>back</th><th>errors</th><th>all back after</th><th>handshake p50</th><th>p99</th><th>first answer p50</th><th>p99</th><th>longest</th></tr>"
    )?;
    for one in &storm.storms {
        writeln!(
            out,
            "<tr><td>{:.1} s</td><td>{}</td><td>{}</td><td>{:.2} s</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            one.at_seconds,
            count(one.back),
            count(one.errors.values().sum()),
            one.until_all_back_seconds,
            time(one.handshake_ns.p50),
            time(one.handshake_ns.p99),
            time(one.first_answer_ns.p50),
            time(one.first_answer_ns.p99),
            time(one.first_answer_ns.max)
        )?;
    }
    writeln!(out, "</table>")
}

/// What a doubt needs: machine, generator, errors, counters.
pub(super) fn details(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(out, "<h2>How it was measured</h2>\n<table class=\"words\">")?;
    for (name, words) in generator(outcome).into_iter().chain(service(outcome)) {
        writeln!(out, "<tr><td>{name}</td><td>{}</td></tr>", escape(&words))?;
    }
    writeln!(out, "</table>")
}

type Detail = (&'static str, String);

fn generator(outcome: &Outcome) -> Vec<Detail> {
    let mix: Vec<String> = outcome.plan.mix.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
    let mut found = vec![
        ("Machine of the generator", outcome.machine.words()),
        ("Mix (weights)", format!("{}; seed {}", mix.join(", "), outcome.plan.seed)),
    ];
    let late = &outcome.lateness;
    if late.behind_ns.count > 0 {
        let (share, bound) = (late.late_share * 100.0, late.late_share_bound * 100.0);
        let (p50, p99, max) = (time(late.behind_ns.p50), time(late.behind_ns.p99), time(late.behind_ns.max));
        let words = format!(
            "requests were taken up {p50} (p50), {p99} (p99), {max} (longest) after they were due; {share:.3} % later than \
             {} us, and more than {bound} % make a run void; {} then waited for a place on a connection",
            late.bound_us,
            count(late.waited_for_a_place)
        );
        found.push(("The generator's own schedule", words));
    }
    let cost = &outcome.generator;
    let own = format!(
        "{:.2} s in {} sending thread(s): {} a request, {:.1} % of the machine",
        cost.cpu_seconds,
        cost.threads,
        time(cost.cpu_ns_per_request as u64),
        cost.machine_share * 100.0
    );
    found.push(("The generator's processor time", own));
    if let (Some(seconds), Some(each)) = (cost.server_cpu_seconds, cost.server_cpu_ns_per_answer) {
        let memory = cost.server_resident_bytes.unwrap_or(0) as f64 / f64::from(1 << 20);
        let words = format!("{seconds:.2} s: {} an answer; {memory:.0} MiB resident", time(each as u64));
        found.push(("The server's processor time", words));
    }
    found
}

fn service(outcome: &Outcome) -> Vec<Detail> {
    let total = &outcome.total;
    let errors: Vec<String> = total.errors.iter().map(|(code, times)| format!("{code} {}", count(*times))).collect();
    let shakes = &outcome.handshakes;
    let failed: u64 = shakes.failed.values().sum();
    let connections = format!(
        "{} opened, {failed} could not be, {} broke, {} ended by the server in order; handshake p50 {}, p99 {}",
        count(shakes.opened),
        count(shakes.lost),
        count(shakes.told_to_leave),
        time(shakes.took_ns.p50),
        time(shakes.took_ns.p99)
    );
    let mut found = vec![
        ("Answers", format!("{} to {} bytes", count(total.reply_bytes_min), count(total.reply_bytes_max))),
        ("Failures by code", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") }),
        ("Connections", connections),
    ];
    if let Some(counters) = &outcome.counters {
        let verdict = if counters.agree { "they agree" } else { "THEY DIFFER" };
        let words = format!(
            "by the server's {}: {}; received here: {}; in doubt: {}: {verdict}",
            counters.source,
            count(counters.server),
            count(counters.generator),
            count(counters.in_doubt)
        );
        found.push(("Answers counted", words));
    }
    if let Some(drain) = &outcome.drain {
        let behind = count(drain.entries_behind);
        let end = if drain.complete { "drained after" } else { "NOT drained after" };
        let words = format!("{behind} audit entries behind at the end; {end} {:.2} s", drain.seconds);
        found.push(("Access history and notifications", words));
    }
    found
}
