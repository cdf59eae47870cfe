//! Feeds, on the metrics page. Whoever reads it needs no certificate, and the monitoring keeps it: who knows when a shielded child
//! came somewhere must not see here where something was sent then. So of a single sender nothing stands here that changes with
//! each row: its state, as answers judge it; how long one that is late has been silent; and whether anything was refused of it and
//! not sent anew. Not what is usual for it either, which is learned from its rows and moves a week after each. Rows and volumes are
//! told of all senders of a kind together, and only while several are in time: what a late one sends shows by its state, so that
//! beside none but such it would be one's alone.
//!
//! What each sent, and when, `ListFeeds` tells operations, by a certificate and under a person's name, and the audit keeps that.

use kith_domain::change::Feed;
use kith_domain::feed::{FeedCounts, FeedLine, FeedState};
use kith_domain::time::Moment;

use super::Page;

/// Steps in which an age is told, in seconds: to the second it would tell when the last row came.
const AGE_STEP_SECONDS: u64 = 15 * 60;
/// The same in milliseconds.
const AGE_STEP_MS: i64 = 15 * 60 * 1_000;
/// Fewest senders in time of which something is told together: of one it would be that sender's.
const FEWEST: usize = 2;
/// Kinds of feeds, as labels have them.
const KINDS: [&str; 2] = ["plans", "presentations"];

/// All that is told of feeds. `counts` are of each kind.
pub(super) fn feeds(page: &mut Page, lines: &[FeedLine], counts: &[(&str, FeedCounts); 2], now: Moment) {
    summary(page, counts, now);
    each(page, lines, now);
    rows(page, lines);
    volumes(page, lines);
}

fn state_word(state: FeedState) -> &'static str {
    match state {
        FeedState::Fresh => "fresh",
        FeedState::Stale => "stale",
        FeedState::Absent => "absent",
        FeedState::Thin => "thin",
    }
}

fn kind(feed: Feed) -> &'static str {
    match feed {
        Feed::Plans(_) => "plans",
        Feed::Presentations(_) => "presentations",
    }
}

fn labels(feed: Feed) -> String {
    match feed {
        Feed::Plans(code) => format!("kind=\"plans\",code=\"{code}\""),
        Feed::Presentations(code) => format!("kind=\"presentations\",code=\"{code}\""),
    }
}

/// How long ago something was, by the quarters of an hour that the clock has begun since then, in seconds: never less than it is,
/// and half an hour more at most.
fn age(now: Moment, last: Moment) -> u64 {
    let quarter = |at: Moment| at.0.div_euclid(AGE_STEP_MS);
    let begun = u64::try_from(quarter(now) - quarter(last)).unwrap_or(0);
    (begun + 1) * AGE_STEP_SECONDS
}

fn summary(page: &mut Page, counts: &[(&str, FeedCounts); 2], now: Moment) {
    let states = counts.iter().flat_map(|(kind, counts)| {
        let FeedCounts { fresh, stale, absent, thin, oldest_fresh_seconds: _ } = *counts;
        let labels = move |state| format!("kind=\"{kind}\",state=\"{}\"", state_word(state));
        [
            (labels(FeedState::Fresh), fresh),
            (labels(FeedState::Stale), stale),
            (labels(FeedState::Absent), absent),
            (labels(FeedState::Thin), thin),
        ]
    });
    page.family("kith_feeds", "gauge", "Feeds by state.", states);
    let last = |seconds: u64| now.plus_seconds(-i64::try_from(seconds).unwrap_or(i64::MAX));
    // The oldest of one is that one.
    let of_several = counts.iter().filter(|(_, counts)| usize::try_from(counts.fresh).unwrap_or(usize::MAX) >= FEWEST);
    let oldest = of_several.filter_map(|(kind, counts)| {
        counts.oldest_fresh_seconds.map(|seconds| (format!("kind=\"{kind}\""), age(now, last(seconds))))
    });
    let what = "Age of the oldest of several feeds in time, in whole quarters of an hour and never too few.";
    page.family("kith_feeds_oldest_fresh_seconds", "gauge", what, oldest);
}

/// What is told of a single sender.
fn each(page: &mut Page, lines: &[FeedLine], now: Moment) {
    let each = || lines.iter().map(|line| (labels(line.feed), line));
    page.family(
        "kith_feed_state",
        "gauge",
        "1 for the state that a feed is in.",
        each().map(|(labels, line)| (format!("{labels},state=\"{}\"", state_word(line.state)), 1)),
    );
    // Of one that is in time the age would fall with each row.
    let late = each().filter(|(_, line)| line.state == FeedState::Stale);
    page.family(
        "kith_feed_age_seconds",
        "gauge",
        "Since a feed that is late was last heard of, in whole quarters of an hour and never too few.",
        late.filter_map(|(labels, line)| line.last.map(|last| (labels, age(now, last)))),
    );
    // How many would change with each row that is refused.
    page.family(
        "kith_feed_open_rejections",
        "gauge",
        "1 while rows or events have been refused since the last batch taken whole.",
        each().map(|(labels, line)| (labels, u8::from(line.open_rejections > 0))),
    );
}

/// Whether a sender may send without its state telling that it did.
fn is_in_time(state: FeedState) -> bool {
    match state {
        FeedState::Fresh | FeedState::Thin => true,
        FeedState::Stale | FeedState::Absent => false,
    }
}

/// A sum over senders of which there is something to add; none unless several of them are in time.
fn total<'a>(lines: impl Iterator<Item = &'a FeedLine>, of_one: fn(&FeedLine) -> Option<u64>) -> Option<u64> {
    let (mut sum, mut in_time) = (0_u64, 0_usize);
    for line in lines {
        if let Some(one) = of_one(line) {
            sum = sum.saturating_add(one);
            in_time += usize::from(is_in_time(line.state));
        }
    }
    (in_time >= FEWEST).then_some(sum)
}

/// The same of each kind.
fn by_kind(lines: &[FeedLine], of_one: fn(&FeedLine) -> Option<u64>) -> impl Iterator<Item = (String, u64)> {
    KINDS.into_iter().filter_map(move |of_kind| {
        let of_each = lines.iter().filter(|line| kind(line.feed) == of_kind);
        total(of_each, of_one).map(|sum| (format!("kind=\"{of_kind}\""), sum))
    })
}

fn rows(page: &mut Page, lines: &[FeedLine]) {
    let what =
        "Rows and events of the last 28 days, of all senders of a kind; none unless several of them are in time.";
    page.family("kith_feeds_rows_seen", "gauge", what, by_kind(lines, |line| Some(line.rows.seen)));
    let what = "Of those: number valid and current, birth date not contradicted.";
    page.family("kith_feeds_rows_matched", "gauge", what, by_kind(lines, |line| Some(line.rows.matched)));
}

fn volumes(page: &mut Page, lines: &[FeedLine]) {
    let expected = total(lines.iter(), |line| line.volume.and_then(|volume| volume.expected_hundredths));
    page.family(
        "kith_feeds_volume_expected",
        "gauge",
        "Presentations expected in the trailing hours, of all of which any are; none unless several of them are in time.",
        expected.into_iter().map(|hundredths| (String::new(), hundredths as f64 / 100.0)),
    );
    let actual = total(lines.iter(), |line| line.volume.map(|volume| volume.actual));
    page.family(
        "kith_feeds_volume_actual",
        "gauge",
        "Live presentations in the trailing hours, of all senders; none unless several of them are in time.",
        actual.into_iter().map(|actual| (String::new(), actual)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::codes::OdsCode;
    use kith_domain::feed_health::Rows;
    use kith_domain::feed_volume::VolumeLine;

    /// A minute and a second after a quarter of an hour has begun.
    const NOW: Moment = Moment(1_900_000 * AGE_STEP_MS + 61_000);

    fn line(code: &str, state: FeedState, silent_seconds: i64) -> FeedLine {
        let last = Some(NOW.plus_seconds(-silent_seconds));
        FeedLine {
            feed: Feed::Presentations(OdsCode::parse(code).unwrap()),
            last,
            interval_seconds: 86_400,
            state,
            last_event: last,
            last_file: None,
            rows: Rows { seen: 7, matched: 6 },
            open_rejections: 0,
            volume: Some(VolumeLine { expected_hundredths: Some(450), actual: 3 }),
        }
    }

    /// The same once one more has come.
    fn with_one_more(line: FeedLine) -> FeedLine {
        FeedLine {
            last: Some(NOW),
            last_event: Some(NOW),
            rows: Rows { seen: 8, matched: 6 },
            volume: Some(VolumeLine { expected_hundredths: Some(475), actual: 4 }),
            ..line
        }
    }

    fn shown(lines: &[FeedLine]) -> String {
        let mut page = Page::default();
        let several = FeedCounts { fresh: 2, oldest_fresh_seconds: Some(3_000), ..FeedCounts::default() };
        let one = FeedCounts { fresh: 1, ..several };
        feeds(&mut page, lines, &[("plans", several), ("presentations", one)], NOW);
        page.0
    }

    /// What stands on a page under names that begin like this.
    fn samples(page: &str, name: &str) -> Vec<String> {
        page.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    #[test]
    fn what_a_sender_in_time_sends_moves_nothing_of_its_own() {
        let [quiet, other] = ["RZ1", "RZ2"].map(|code| line(code, FeedState::Fresh, 40_000));
        let own = |page: &str| -> Vec<String> {
            page.lines().filter(|line| line.contains("code=")).map(str::to_owned).collect()
        };
        let (before, after) = (shown(&[quiet, other]), shown(&[with_one_more(quiet), other]));
        assert_eq!(own(&before), own(&after));
        let state = |code: &str| format!("kith_feed_state{{kind=\"presentations\",code=\"{code}\",state=\"fresh\"}} 1");
        let of_each = ["RZ1", "RZ2"].map(state);
        assert!(of_each.iter().all(|state| own(&before).contains(state)), "{before}");
        assert_ne!(before, after, "together they are counted");
        assert_eq!(after, shown(&[quiet, with_one_more(other)]), "whichever of them it was");
    }

    /// A sender that is refused row after row is seen at the first of them, and not at each.
    #[test]
    fn whether_anything_of_a_sender_was_refused_is_told_and_not_how_much() {
        let line = line("RZ1", FeedState::Fresh, 60);
        let told =
            |open_rejections| samples(&shown(&[FeedLine { open_rejections, ..line }]), "kith_feed_open_rejections");
        assert_eq!(told(0), ["kith_feed_open_rejections{kind=\"presentations\",code=\"RZ1\"} 0"]);
        assert_eq!(told(1), ["kith_feed_open_rejections{kind=\"presentations\",code=\"RZ1\"} 1"]);
        assert_eq!(told(2), told(1));
    }

    #[test]
    fn how_long_a_sender_has_been_silent_is_told_while_it_is_late_alone() {
        use FeedState::{Absent, Fresh, Stale, Thin};
        let page = shown(&[
            line("RZ1", Stale, 90_000),
            line("RZ2", Fresh, 3_000),
            line("RZ3", Thin, 3_000),
            FeedLine { last: None, ..line("RZ4", Absent, 0) },
        ]);
        let told = "kith_feed_age_seconds{kind=\"presentations\",code=\"RZ1\"} 90900";
        assert_eq!(samples(&page, "kith_feed_age_seconds"), [told]);
    }

    /// When the last row came is not told any closer, whenever somebody looks.
    #[test]
    fn ages_go_by_the_quarters_of_the_clock_and_are_never_too_small() {
        let told = [0, 61, 62, 961, 962].map(|seconds| age(NOW, NOW.plus_seconds(-seconds)));
        assert_eq!(told, [900, 900, 1_800, 1_800, 2_700]);
        for seconds in 0..4_000_u64 {
            let last = NOW.plus_seconds(-i64::try_from(seconds).unwrap());
            let told = age(NOW, last);
            let possible = seconds..=seconds + 2 * AGE_STEP_SECONDS;
            assert!(told.is_multiple_of(AGE_STEP_SECONDS) && possible.contains(&told), "{seconds}: {told}");
            // Looked at at the end of the same quarter it is the same.
            assert_eq!(age(Moment(NOW.0 - 61_000 + AGE_STEP_MS - 1), last), told, "{seconds}");
        }
        assert_eq!(age(NOW, NOW.plus_seconds(10_000)), AGE_STEP_SECONDS, "a clock that was ahead");
        let told = "kith_feeds_oldest_fresh_seconds{kind=\"plans\"} 4500";
        assert_eq!(samples(&shown(&[]), "kith_feeds_oldest_fresh_seconds"), [told], "and of one alone none");
    }

    #[test]
    fn what_is_told_of_all_senders_together_is_never_that_of_one() {
        let together = ["kith_feeds_rows_", "kith_feeds_volume_"];
        let one = shown(&[line("RZ1", FeedState::Fresh, 60)]);
        assert!(together.iter().all(|name| samples(&one, name).is_empty()), "{one}");
        let [first, second] = ["RZ1", "RZ2"].map(|code| line(code, FeedState::Fresh, 60));
        let two = shown(&[first, second]);
        let told: Vec<String> = together.iter().flat_map(|name| samples(&two, name)).collect();
        let expected = [
            "kith_feeds_rows_seen{kind=\"presentations\"} 14",
            "kith_feeds_rows_matched{kind=\"presentations\"} 12",
            "kith_feeds_volume_expected 9",
            "kith_feeds_volume_actual 6",
        ];
        assert_eq!(told, expected, "and of a kind without a sender none");
        // Whatever the sums move by while the other is silent is of the first one.
        for state in [FeedState::Absent, FeedState::Stale] {
            let beside_silent = shown(&[first, FeedLine { state, ..second }]);
            assert!(together.iter().all(|name| samples(&beside_silent, name).is_empty()), "{beside_silent}");
        }
        let beside_thin = shown(&[first, FeedLine { state: FeedState::Thin, ..second }]);
        assert_eq!(samples(&beside_thin, "kith_feeds_volume_actual"), ["kith_feeds_volume_actual 6"]);
        let unlearned = FeedLine { volume: Some(VolumeLine { expected_hundredths: None, actual: 3 }), ..second };
        let learned_by_one = shown(&[first, unlearned]);
        assert!(samples(&learned_by_one, "kith_feeds_volume_expected").is_empty(), "{learned_by_one}");
        assert_eq!(samples(&learned_by_one, "kith_feeds_volume_actual"), ["kith_feeds_volume_actual 6"]);
    }
}
