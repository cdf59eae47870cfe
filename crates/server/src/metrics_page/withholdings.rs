//! What authorities withhold, on the metrics page: how many decisions stand, and of how many the day to look again has passed. No
//! question changes either, and nothing tells whose or about whom.

use kith_domain::time::Moment;
use kith_engine::{Engine, WithholdingCounts};

use super::Page;

pub(super) fn withholdings(page: &mut Page, engine: &Engine, now: Moment) {
    let WithholdingCounts { standing, overdue } = engine.withholding_counts(now.london_day());
    page.one("kith_withholdings", "gauge", "Decisions to withhold that stand.", standing);
    let what = "Decisions to withhold that somebody should have looked at again; they stand all the same.";
    page.one("kith_withholdings_overdue", "gauge", what, overdue);
}
