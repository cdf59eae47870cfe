//! What the metrics page tells of certificates, revocation lists and the policy: whether a new file could be used, and when one expires.

use std::collections::BTreeSet;

use super::Page;
use crate::tls::{KeptList, Part, TlsState};

/// Lists of which each is told by itself: an authority has one, or a few.
const KEPT_MAX: usize = 64;

/// The families about files. They stand at the end of the page, whether or not the engine is open.
pub(crate) fn files(tls: &TlsState, others: &[(&'static str, bool)]) -> String {
    let mut page = Page::default();
    reload_failed(&mut page, &tls.failed(), &tls.kept_lists(), others);
    page.family(
        "kith_tls_expires_timestamp_seconds",
        "gauge",
        "When the first certificate or list expires, in seconds since 1970.",
        Part::ALL.iter().filter_map(|part| tls.expires_s(*part).map(|at| (labels(*part), at))),
    );
    page.0
}

/// Whether a new file could be used; of lists also which stays because of that, and whose it is. Names are shown so that they need no
/// escaping.
fn reload_failed(page: &mut Page, failed: &[Part], kept: &BTreeSet<KeptList>, others: &[(&'static str, bool)]) {
    let parts = Part::ALL.iter().map(|part| (labels(*part), u8::from(failed.contains(part))));
    let kept = kept.iter().take(KEPT_MAX).map(|KeptList { file, issuer }| {
        (format!("{},file=\"{file}\",issuer=\"{issuer}\"", labels(Part::RevocationLists)), 1)
    });
    let others = others.iter().map(|(what, failed)| (format!("what=\"{what}\""), u8::from(*failed)));
    page.family(
        "kith_reload_failed",
        "gauge",
        "1 while a new file cannot be used and the old one is in force.",
        parts.chain(kept).chain(others),
    );
}

fn labels(part: Part) -> String {
    format!("what=\"{}\"", part.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_stays_is_told_by_its_file_and_its_issuer() {
        let kept = |file: &str| KeptList { file: file.to_owned(), issuer: String::from("CN=between") };
        let mut page = Page::default();
        let lists = BTreeSet::from([kept("lists/a.pem"), kept("lists/b.pem")]);
        reload_failed(&mut page, &[Part::RevocationLists], &lists, &[("policy", false)]);
        let told: Vec<&str> = page.0.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "kith_reload_failed{what=\"certificate\"} 0",
            "kith_reload_failed{what=\"client_authorities\"} 0",
            "kith_reload_failed{what=\"revocation_lists\"} 1",
            "kith_reload_failed{what=\"revocation_lists\",file=\"lists/a.pem\",issuer=\"CN=between\"} 1",
            "kith_reload_failed{what=\"revocation_lists\",file=\"lists/b.pem\",issuer=\"CN=between\"} 1",
            "kith_reload_failed{what=\"policy\"} 0",
        ];
        assert_eq!(told, expected);
    }
}
