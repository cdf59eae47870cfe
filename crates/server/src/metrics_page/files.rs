//! What the metrics page tells of certificates, revocation lists and the policy: whether a new file could be used, and when one expires.

use super::Page;
use crate::tls::{Part, TlsState};

/// The families about files. They stand at the end of the page, whether or not the engine is open.
pub(crate) fn files(tls: &TlsState, others: &[(&'static str, bool)]) -> String {
    let mut page = Page::default();
    let failed = tls.failed();
    let parts = Part::ALL.iter().map(|part| (labels(*part), u8::from(failed.contains(part))));
    let others = others.iter().map(|(what, failed)| (format!("what=\"{what}\""), u8::from(*failed)));
    page.family(
        "kith_reload_failed",
        "gauge",
        "1 while a new file cannot be used and the old one is in force.",
        parts.chain(others),
    );
    page.family(
        "kith_tls_expires_timestamp_seconds",
        "gauge",
        "When the first certificate or list expires, in seconds since 1970.",
        Part::ALL.iter().filter_map(|part| tls.expires_s(*part).map(|at| (labels(*part), at))),
    );
    page.0
}

fn labels(part: Part) -> String {
    format!("what=\"{}\"", part.word())
}
