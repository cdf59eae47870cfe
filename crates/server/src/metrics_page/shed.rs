//! What the metrics page tells of connections that were closed because of a limit.

use super::Page;
use crate::shed::{Shed, ShedCounts};

/// The family of closed connections. It stands at the end of the page, whether or not the engine is open.
pub(crate) fn shed(counts: &ShedCounts) -> String {
    let mut page = Page::default();
    page.family(
        "kith_connections_shed_total",
        "counter",
        "Connections closed since the start because of a limit.",
        Shed::ALL.iter().map(|why| (format!("why=\"{}\"", why.word()), counts.counted(*why))),
    );
    page.0
}
