//! What the metrics page tells of connections that were closed because of a limit, and of calls that were read late because of one.

use super::Page;
use crate::shed::{Shed, ShedReport};

/// The families of such connections. They stand at the end of the page, whether or not the engine is open.
pub(crate) fn shed(report: &ShedReport) -> String {
    let (mut page, counts) = (Page::default(), report.counts());
    page.family(
        "kith_connections_shed_total",
        "counter",
        "Connections closed since the start because of a limit.",
        Shed::ALL.iter().map(|why| (format!("why=\"{}\"", why.word()), counts.counted(*why))),
    );
    page.one(
        "kith_calls_read_late_total",
        "counter",
        "Calls since the start that were read late because their organisation called faster than its limit.",
        report.late(),
    );
    page.0
}
