//! Openings of shielded records on the metrics page: how many nobody has reviewed, and nothing of which, by whom or where. That
//! one was made is told, for somebody must look into it; who asked knows the answer anyhow, and nobody else learns about whom.

use kith_domain::time::Moment;
use kith_engine::{Engine, OpeningCounts};

use super::Page;

pub(super) fn openings(page: &mut Page, engine: &Engine, now: Moment) {
    let OpeningCounts { unreviewed, oldest, over_limit } = engine.opening_counts();
    let what = "Openings of shielded records that nobody has reviewed.";
    page.one("kith_break_glass_unreviewed", "gauge", what, unreviewed);
    let what = "Age of the oldest opening that nobody has reviewed; nought when none waits.";
    let age = oldest.map_or(0, |at| now.seconds_since(at));
    page.one("kith_break_glass_oldest_unreviewed_seconds", "gauge", what, age);
    let what = "Openings refused since the start because as many had been made as may be.";
    page.one("kith_break_glass_over_limit_total", "counter", what, over_limit);
}
