//! The table on the terminal.

use std::fmt::Write as _;

use crate::outcome::{Figures, Knee, Outcome, Storm};

use super::{count, time};

/// An outcome as text.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut text, outcome);
    text
}

fn write(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Outcome { plan, machine, total, lookups, kinds, .. } = outcome;
    let label = if outcome.label.is_empty() { &outcome.command } else { &outcome.label };
    writeln!(out, "{label}: {}", plan.shape.words())?;
    writeln!(
        out,
        "  {} connections x {} in flight, {:.1} s measured after {:.1} s warm-up, {} sending thread(s), seed {}",
        plan.connections, plan.in_flight, plan.seconds, plan.warm_up_seconds, plan.threads, plan.seed
    )?;
    writeln!(out, "  {}", machine.words())?;
    if outcome.void {
        writeln!(out, "\nVOID: no figure below may be used.")?;
        outcome.void_reasons.iter().try_for_each(|reason| writeln!(out, "  {reason}"))?;
    }
    writeln!(
        out,
        "\n{:<17} {:>10} {:>10} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "", "offered", "ok/s", "failed", "p50", "p90", "p99", "p99.9", "p99.99", "max", "<= 1 ms"
    )?;
    for (name, figures) in kinds {
        row(out, name, figures)?;
    }
    if let Some(lookups) = lookups.as_ref().filter(|_| kinds.len() > 1) {
        row(out, "all lookups", lookups)?;
    }
    if kinds.len() > 1 {
        row(out, "all", total)?;
    }
    if let Some(knee) = &outcome.knee {
        knee_rows(out, knee)?;
    }
    if let Some(storm) = &outcome.storm {
        storm_rows(out, storm)?;
    }
    rest(out, outcome)
}

fn knee_rows(out: &mut String, knee: &Knee) -> std::fmt::Result {
    let beyond = knee
        .not_carried_per_second
        .map_or_else(|| "nothing tried was too much".to_owned(), |rate| format!("{rate:.0} / s was too much"));
    writeln!(
        out,
        "\nCARRIED: {:.0} / s within p99 {} and {:.2} % answered well; {beyond}",
        knee.carried_per_second,
        time(knee.p99_bound_us * 1_000),
        knee.goodput_bound * 100.0
    )?;
    for step in &knee.steps {
        let cores = step.server_cores.map_or_else(String::new, |cores| format!(", {cores:.2} server cores"));
        let verdict = if step.carried { "carried" } else { &step.why_not };
        let (p50, p99) = (time(step.latency_ns.p50), time(step.latency_ns.p99));
        writeln!(
            out,
            "  {:>9.0} / s: {:>9.1} answered, p50 {p50}, p99 {p99}{cores}: {verdict}",
            step.rate_per_second, step.ok_per_second
        )?;
    }
    Ok(())
}

fn storm_rows(out: &mut String, storm: &Storm) -> std::fmt::Result {
    writeln!(out)?;
    row(out, "steady, quiet", &storm.steady_quiet)?;
    row(out, "steady, storms", &storm.steady_stormy)?;
    for one in &storm.storms {
        let errors: Vec<String> =
            one.errors.iter().map(|(reason, times)| format!("{reason} {}", count(*times))).collect();
        writeln!(
            out,
            "  storm at {:.1} s: {} of {} back after {:.2} s; handshake p50 {} p99 {}; first answer p50 {} p99 {}; errors: {}",
            one.at_seconds,
            count(one.back),
            count(storm.clients),
            one.until_all_back_seconds,
            time(one.handshake_ns.p50),
            time(one.handshake_ns.p99),
            time(one.first_answer_ns.p50),
            time(one.first_answer_ns.p99),
            if errors.is_empty() { "none".to_owned() } else { errors.join(", ") }
        )?;
    }
    Ok(())
}

fn row(out: &mut String, name: &str, figures: &Figures) -> std::fmt::Result {
    let latency = &figures.latency_ns;
    writeln!(
        out,
        "{name:<17} {:>10} {:>10.1} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6.2} %",
        count(figures.offered),
        figures.ok_per_second,
        count(figures.failed),
        time(latency.p50),
        time(latency.p90),
        time(latency.p99),
        time(latency.p99_9),
        time(latency.p99_99),
        time(latency.max),
        figures.within_1ms_share * 100.0
    )
}

fn rest(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Outcome { total, lateness, generator, .. } = outcome;
    writeln!(out)?;
    for (code, times) in &total.errors {
        writeln!(out, "  failed: {code} {}", count(*times))?;
    }
    if lateness.behind_ns.count > 0 {
        writeln!(
            out,
            "  schedule: taken up after p50 {}, p99 {}, max {}; {:.3} % later than {} us (void above {} %); {} waited for a place",
            time(lateness.behind_ns.p50),
            time(lateness.behind_ns.p99),
            time(lateness.behind_ns.max),
            lateness.late_share * 100.0,
            lateness.bound_us,
            lateness.late_share_bound * 100.0,
            count(lateness.waited_for_a_place)
        )?;
    }
    writeln!(
        out,
        "  generator: {:.2} s of processor time, {} a request, {:.1} % of the machine",
        generator.cpu_seconds,
        time(generator.cpu_ns_per_request as u64),
        generator.machine_share * 100.0
    )?;
    if let (Some(seconds), Some(each)) = (generator.server_cpu_seconds, generator.server_cpu_ns_per_answer) {
        let memory = generator.server_resident_bytes.unwrap_or(0) as f64 / f64::from(1 << 20);
        writeln!(
            out,
            "  server: {seconds:.2} s of processor time, {} an answer, {memory:.0} MiB resident",
            time(each as u64)
        )?;
    }
    answers(out, outcome)?;
    outcome.failures.iter().try_for_each(|failure| writeln!(out, "FAILED: {failure}"))
}

fn answers(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Outcome { total, verification, handshakes, counters, drain, .. } = outcome;
    writeln!(
        out,
        "  answers: {} to {} bytes; {} held against what is true ({} in full), {} WRONG, {} could not say",
        total.reply_bytes_min,
        total.reply_bytes_max,
        count(verification.checked),
        count(verification.checked_in_full),
        count(verification.wrong),
        count(verification.cannot_say)
    )?;
    verification.differences.iter().try_for_each(|what| writeln!(out, "    WRONG: {what}"))?;
    writeln!(
        out,
        "  handshakes: {} (p50 {}, p99 {}), {} failed, {} connections lost, {} told to leave",
        count(handshakes.opened),
        time(handshakes.took_ns.p50),
        time(handshakes.took_ns.p99),
        count(handshakes.failed.values().sum()),
        count(handshakes.lost),
        count(handshakes.told_to_leave)
    )?;
    if let Some(counters) = counters {
        let verdict = if counters.agree { "they agree" } else { "THEY DIFFER" };
        writeln!(
            out,
            "  counters ({}): server {}, generator {}, in doubt {}: {verdict}",
            counters.source,
            count(counters.server),
            count(counters.generator),
            count(counters.in_doubt)
        )?;
    }
    if let Some(drain) = drain {
        let verdict = if drain.complete { "drained" } else { "NOT DRAINED" };
        writeln!(
            out,
            "  access history and notifications: {} audit entries behind at the end, {verdict} after {:.2} s",
            count(drain.entries_behind),
            drain.seconds
        )?;
    }
    Ok(())
}
