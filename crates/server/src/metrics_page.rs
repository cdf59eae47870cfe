//! The metrics page: feeds, answers, how long they took, sizes and the audit. Counts and codes of senders alone. Which feed is
//! late could tell where a shielded child is, so the page is for operations, like the list of feeds; of a single sender it shows
//! less than that list (`feeds.rs`).
//!
//! Whoever looks at the page before and after one question must not learn its answer: no label tells what was found, and
//! nothing stands here that a question changes by more or less for it, such as the number of people (a first question adds one
//! of whom nothing else is held) or the last change in the log (a mother of whom something was told adds one).

mod feeds;
mod files;
mod openings;
mod shed;
mod times;
mod withholdings;

use std::fmt::{Display, Write as _};

use kith_domain::flag::FlagKind;
use kith_domain::time::Moment;
use kith_engine::{AnswerCounts, AuditKept, Engine, FlagTotals, Held, Sink, TreeHealth, Witnessed};

pub(crate) use files::files;
pub(crate) use shed::shed;

use crate::answer_times::AnswerTimes;
use crate::engine_slot::EngineState;

/// The page being written.
#[derive(Default)]
struct Page(String);

impl Page {
    /// One family of values; each has its labels, written already. Codes and words need no escaping.
    fn family<V: Display>(&mut self, name: &str, kind: &str, help: &str, values: impl Iterator<Item = (String, V)>) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = match labels.is_empty() {
                true => writeln!(self.0, "{name} {value}"),
                false => writeln!(self.0, "{name}{{{labels}}} {value}"),
            };
        }
    }

    fn one<V: Display>(&mut self, name: &str, kind: &str, help: &str, value: V) {
        self.family(name, kind, help, std::iter::once((String::new(), value)));
    }
}

/// The page as of `now`.
pub(crate) fn page(state: &EngineState<Engine>, answering: &AnswerTimes, now: Moment) -> String {
    let mut page = Page::default();
    let ready = matches!(state, EngineState::Ready(_));
    page.one("kith_ready", "gauge", "1 while questions can be answered.", u8::from(ready));
    let health = if let EngineState::Ready(engine) = state { engine.tree_health() } else { None };
    signed(&mut page, health);
    if let EngineState::Ready(engine) = state {
        let lines = engine.feeds().lines(now);
        let counts =
            [("plans", engine.feeds().plan_counts(now)), ("presentations", engine.feeds().presentation_counts(now))];
        feeds::feeds(&mut page, &lines, &counts, now);
        answers(&mut page, &engine.answer_counts());
        times::times(&mut page, answering, &engine.times());
        held(&mut page, engine);
        audit(&mut page, engine, now);
        retention(&mut page, [("state", engine.purge_status().held), ("audit", engine.audit_kept().held)]);
        openings::openings(&mut page, engine, now);
        keys(&mut page, engine);
        flags(&mut page, engine);
        withholdings::withholdings(&mut page, engine, now);
    }
    page.0
}

fn answers(page: &mut Page, counts: &AnswerCounts) {
    let AnswerCounts { answered, refused, not_audited } = *counts;
    page.one("kith_answers_total", "counter", "Questions answered since the start, whatever the answer.", answered);
    let failed = [("refused", refused), ("not_audited", not_audited)];
    page.family(
        "kith_questions_without_answer_total",
        "counter",
        "Questions since the start that had no answer.",
        failed.into_iter().map(|(why, count)| (format!("why=\"{why}\""), count)),
    );
}

fn held(page: &mut Page, engine: &Engine) {
    let sizes = engine.sizes();
    let held = [("plans", sizes.plans), ("presentations", sizes.presentations)];
    let held = held.into_iter().map(|(what, count)| (format!("what=\"{what}\""), count));
    page.family("kith_held", "gauge", "What is held.", held);
}

fn audit(page: &mut Page, engine: &Engine, now: Moment) {
    let positions = engine.positions();
    let behind = positions.synced_through.saturating_sub(positions.derived_through);
    page.one("kith_audit_not_derived", "gauge", "Audit entries whose consequences are not in the log yet.", behind);
    let window = engine.audit_window();
    page.one("kith_audit_unsynced", "gauge", "Audit entries not on disk yet.", window.unsynced);
    page.one("kith_audit_given_up", "gauge", "Audit entries given up and not known to be on disk.", window.given_up);
    page.one(
        "kith_audit_failed_segments_total",
        "counter",
        "Audit files closed for good since the start because a write or a sync failed or hung.",
        window.closed_segments,
    );
    let sinks = Sink::ALL.map(|sink| (format!("sink=\"{}\"", sink.name()), u8::from(window.sink == Some(sink))));
    page.family("kith_audit_sink", "gauge", "1 for the sink that takes audit entries.", sinks.into_iter());
    kept(page, engine.audit_kept());
    tree(page, engine.tree_health(), now);
}

/// Of the data key. The walk over the state goes its own way: what a question changes does not show here.
fn keys(page: &mut Page, engine: &Engine) {
    let what = "Version of the data key that seals what is written now.";
    page.one("kith_data_key_version", "gauge", what, engine.data_key_version());
    let what =
        "Rows of the state not yet sealed with that version, roughly; nought once all of it is, the snapshot too.";
    page.one("kith_key_reseal_remaining", "gauge", what, engine.reseal_left());
}

/// A flag that counts what is held is raised when so many questions have been counted, so that no single one makes it.
fn flags(page: &mut Page, engine: &Engine) {
    let FlagTotals { unreviewed, raised, behind } = engine.flag_totals();
    let raised = FlagKind::WORDS.into_iter().zip(raised);
    let raised = raised.map(|((_, word), count)| (format!("kind=\"{word}\""), count));
    page.family("kith_flags_raised_total", "counter", "Flags about people's use raised since the start.", raised);
    page.one("kith_flags_unreviewed", "gauge", "Flags that nobody has looked into yet.", unreviewed);
    let what =
        "Audit entries that the watch of use still has to read again after the start; it flags nothing until then.";
    page.one("kith_watch_behind_entries", "gauge", what, behind);
}

/// By whole files, looked at once an hour: one entry more or less, and how long it is, must not show.
fn kept(page: &mut Page, kept: AuditKept) {
    let AuditKept { closed_bytes, oldest_at, removed, held: _ } = kept;
    page.one("kith_audit_closed_bytes", "gauge", "Bytes of the audit's files that take no more entries.", closed_bytes);
    let seconds = |at: Moment| (String::new(), at.0.div_euclid(1_000));
    page.family(
        "kith_audit_oldest_entry_timestamp_seconds",
        "gauge",
        "When the oldest audit entry that is kept was made.",
        oldest_at.into_iter().map(seconds),
    );
    page.family(
        "kith_audit_removed_timestamp_seconds",
        "gauge",
        "When audit entries were last removed under retention; none when never.",
        removed.into_iter().map(|removed| seconds(removed.at)),
    );
}

/// As of the last run, an hour ago or so: no question shows in it.
fn retention(page: &mut Page, held: [(&str, Option<Held>); 2]) {
    let held = held.into_iter().map(|(what, held)| (format!("what=\"{what}\""), u8::from(held.is_some())));
    let what = "1 while retention has stopped by itself, and removes nothing of this until a person has looked.";
    page.family("kith_retention_held", "gauge", what, held);
}

/// Always there, whether or not a tree is kept: no alert is raised on a series that is missing.
fn signed(page: &mut Page, health: Option<TreeHealth>) {
    let is_signed = health.is_some_and(|health| {
        let TreeHealth { failing, suspected, unsigned_for, witnessed: _ } = health;
        // What no key signs has no age.
        !failing && !suspected && unsigned_for.is_some()
    });
    let what = "1 while the audit comes under signed heads; 0 without a key, while its tree is suspected or does not grow, and while \
                no questions are answered.";
    page.one("kith_audit_signed", "gauge", what, u8::from(is_signed));
}

fn tree(page: &mut Page, health: Option<TreeHealth>, now: Moment) {
    let Some(TreeHealth { failing, suspected, unsigned_for, witnessed }) = health else { return };
    page.one("kith_audit_tree_failing", "gauge", "1 while the audit's tree does not grow.", u8::from(failing));
    let what = "1 when the audit or its tree is not as it was signed: nothing is signed until a person has looked.";
    page.one("kith_audit_tree_suspected", "gauge", what, u8::from(suspected));
    page.family(
        "kith_audit_checkpoint_age_seconds",
        "gauge",
        "Age of the newest signed head of the audit's tree while entries wait for the next; nought when none wait.",
        unsigned_for.into_iter().map(|age| (String::new(), age.as_secs())),
    );
    let age = match witnessed {
        Witnessed::NotAwaited => None,
        // How old a thing is that never was: beyond every bound.
        Witnessed::Never => Some("+Inf".to_owned()),
        Witnessed::LastAt(at) => Some(now.seconds_since(at).to_string()),
    };
    page.family(
        "kith_audit_cosignature_age_seconds",
        "gauge",
        "Since a witness's cosignature of the audit's tree was last kept; none when no witness is configured and none ever was.",
        age.into_iter().map(|age| (String::new(), age)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_audit_is_signed_shows_with_and_without_a_tree() {
        let shown = |health| {
            let mut page = Page::default();
            signed(&mut page, health);
            assert!(
                page.0.starts_with("# HELP kith_audit_signed 1 while ")
                    && page.0.contains("\n# TYPE kith_audit_signed gauge\n")
            );
            page.0.lines().last().unwrap().to_owned()
        };
        let (unsigned_for, witnessed) = (Some(std::time::Duration::ZERO), Witnessed::NotAwaited);
        let well = TreeHealth { failing: false, suspected: false, unsigned_for, witnessed };
        assert_eq!(shown(Some(well)), "kith_audit_signed 1");
        for bad in [
            None,
            Some(TreeHealth { failing: true, ..well }),
            Some(TreeHealth { suspected: true, ..well }),
            Some(TreeHealth { unsigned_for: None, ..well }),
        ] {
            assert_eq!(shown(bad), "kith_audit_signed 0", "{bad:?}");
        }
        let page = page(&EngineState::Loading, &AnswerTimes::default(), Moment(0));
        assert!(page.ends_with("\nkith_audit_signed 0\n"), "{page}");
    }

    #[test]
    fn how_long_no_witness_has_cosigned_shows_where_one_is_awaited() {
        let age = |witnessed| {
            let mut page = Page::default();
            let health = TreeHealth { failing: false, suspected: false, unsigned_for: None, witnessed };
            tree(&mut page, Some(health), Moment(1_000_000));
            let values = page.0.lines().filter_map(|line| line.strip_prefix("kith_audit_cosignature_age_seconds "));
            values.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(age(Witnessed::NotAwaited), Vec::<String>::new());
        assert_eq!(age(Witnessed::Never), ["+Inf"]);
        assert_eq!(age(Witnessed::LastAt(Moment(90_000))), ["910"]);
        assert_eq!(age(Witnessed::LastAt(Moment(2_000_000))), ["0"], "a clock that was set back");
    }

    #[test]
    fn retention_that_has_stopped_shows_by_what_it_no_longer_removes() {
        let mut page = Page::default();
        retention(&mut page, [("state", None), ("audit", Some(Held::ClockAhead { days: 3 }))]);
        assert!(page.0.ends_with("kith_retention_held{what=\"state\"} 0\nkith_retention_held{what=\"audit\"} 1\n"));
    }
}
