//! Ranges of single keys and rules between keys.
//! Never reads a file; what the named files hold is checked by the parts that read them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Config, Log, Metrics};
use crate::identity;
use crate::mistakes::Mistakes;
use kith_api::convert::padding::MAX_STEP_BYTES;
use kith_engine::TreeOptions;

/// Milliseconds in the longest time-out accepted anywhere: an hour.
pub(super) const HOUR_MS: u64 = 3_600_000;

/// Two looks at the files must lie within a minute of a change, with room for the verdict on open connections: whoever is revoked
/// is out by then.
const RELOAD_MAX_MS: u64 = 25_000;

/// Seconds in the longest connection age accepted: a day.
pub(super) const DAY_S: u64 = 86_400;

/// Longest expected silence of a feed accepted: a year.
const YEAR_S: u64 = 366 * DAY_S;

/// Shortest retention of the audit, in days: eight years, the shortest of a health record in the Records Management Code of Practice
/// for health and social care (England, 2021, appendix II).
const AUDIT_MIN_DAYS: u32 = 2_922;

/// Longest retention of the audit accepted, in days: a century.
const AUDIT_MAX_DAYS: u32 = 36_525;

/// Smallest journal file: two entries of the greatest length. The journal refuses less.
const SEGMENT_MIN_BYTES: u64 = 128 << 10;

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    let mut check = Check { mistakes };
    check.server(config);
    check.storage(config);
    check.audit(config);
    check.answers(config);
    config.break_glass.check(&mut check);
    config.purge.check(&mut check);
    super::flags::check(&config.flags, &mut check);
    check.feeds(config);
    config.limits.check(config, &mut check);
    check.log(&config.log);
    check.metrics(&config.metrics);
}

pub(super) struct Check<'a> {
    mistakes: &'a mut Mistakes,
}

impl Check<'_> {
    pub(super) fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.mistakes.note(key, format!("expected {} to {}, found {value}", range.start(), range.end()));
        }
    }

    pub(super) fn rule(&mut self, holds: bool, key: &str, what: &str) {
        if !holds {
            self.mistakes.note(key, what);
        }
    }

    fn server(&mut self, config: &Config) {
        let server = &config.server;
        self.range("server.data_threads", server.data_threads, 0..=1_024);
        self.range("server.drain_limit_ms", server.drain_limit_ms, 0..=HOUR_MS);
        self.range("tls.reload_interval_ms", config.tls.reload_interval_ms, 50..=RELOAD_MAX_MS);
        self.rule(
            identity::is_trust_domain(&server.trust_domain),
            "server.trust_domain",
            "expected lower-case letters, digits, dots, dashes and underscores, 1 to 255 of them",
        );
    }

    fn storage(&mut self, config: &Config) {
        let storage = &config.storage;
        self.range("storage.reserve_bytes", storage.reserve_bytes, 1 << 20..=1 << 40);
        self.rule(
            storage.key_credential.is_empty() || is_credential_name(&storage.key_credential),
            "storage.key_credential",
            "expected the name of a credential: a file name without a slash",
        );
    }

    fn audit(&mut self, config: &Config) {
        let audit = &config.audit;
        self.range("audit.sync_interval_ms", audit.sync_interval_ms, 1..=1_000);
        self.range("audit.wait_after_ms", audit.wait_after_ms, 1..=60_000);
        self.range("audit.fail_after_ms", audit.fail_after_ms, 1..=60_000);
        self.range("audit.segment_bytes", audit.segment_bytes, SEGMENT_MIN_BYTES..=4 << 30);
        let (tree, key) = (audit.tree.as_os_str(), audit.signing_key_file.as_os_str());
        if audit.retention_days > 0 {
            self.range("audit.retention_days", audit.retention_days, AUDIT_MIN_DAYS..=AUDIT_MAX_DAYS);
            self.rule(
                !tree.is_empty() && !key.is_empty(),
                "audit.retention_days",
                "expected audit.tree and audit.signing_key_file as well: without a signed tree removing reads as tampering",
            );
        }
        self.rule(
            !tree.is_empty() || key.is_empty(),
            "audit.signing_key_file",
            "expected audit.tree to be set as well: there would be nothing to sign",
        );
        let (witnesses, at) = (&audit.witnesses, "audit.witnesses");
        let distinct: BTreeSet<_> = witnesses.iter().map(|key| (key.0.name(), key.0.id())).collect();
        self.range(at, witnesses.len(), 0..=TreeOptions::MAX_WITNESSES);
        self.rule(distinct.len() == witnesses.len(), at, "expected each key once");
        self.rule(
            witnesses.is_empty() || !key.is_empty(),
            at,
            "expected audit.signing_key_file as well: without a signed head there is nothing to cosign",
        );
        self.rule(
            audit.sync_interval_ms < audit.wait_after_ms,
            "audit.wait_after_ms",
            "expected more than audit.sync_interval_ms: every answer would wait",
        );
        self.rule(
            audit.wait_after_ms < audit.fail_after_ms,
            "audit.fail_after_ms",
            "expected more than audit.wait_after_ms: an answer must be able to wait before it fails",
        );
    }

    fn answers(&mut self, config: &Config) {
        let answers = &config.answers;
        self.range("answers.presentation_window_days", answers.presentation_window_days, 1..=3_660);
        self.range("answers.presentation_retention_days", answers.presentation_retention_days, 1..=3_660);
        self.range("answers.plan_retention_months", answers.plan_retention_months, 1..=240);
        self.range("answers.max_presentations", answers.max_presentations, 1..=1_000);
        self.range("answers.sibling_injury_days", answers.sibling_injury_days, 1..=3_660);
        self.range("answers.padding_step_bytes", answers.padding_step_bytes, 0..=MAX_STEP_BYTES);
        let least = answers.padding_step_bytes.checked_mul(answers.padding_min_steps);
        self.rule(
            least.is_some_and(|least| least <= MAX_STEP_BYTES),
            "answers.padding_min_steps",
            "expected at most 65536 bytes in all, with answers.padding_step_bytes",
        );
        self.rule(
            answers.sibling_injury_days <= answers.presentation_retention_days,
            "answers.sibling_injury_days",
            "expected at most answers.presentation_retention_days: what is not kept cannot be told",
        );
        self.rule(
            answers.presentation_window_days <= answers.presentation_retention_days,
            "answers.presentation_window_days",
            "expected at most answers.presentation_retention_days: what is not kept cannot be shown",
        );
        for (key, value) in [
            ("answers.national_contact_name", &answers.national_contact_name),
            ("answers.national_contact_phone", &answers.national_contact_phone),
        ] {
            let set = !value.trim().is_empty() && value.len() <= 200 && !value.chars().any(char::is_control);
            self.rule(set, key, "expected 1 to 200 characters: without it nobody can be rung about a shielded child");
        }
        let phone = &answers.national_contact_phone;
        self.rule(
            phone.is_empty() || crate::directory::is_phone(phone),
            "answers.national_contact_phone",
            "expected a telephone number",
        );
    }

    fn feeds(&mut self, config: &Config) {
        let feeds = &config.feeds;
        self.range("feeds.plan_interval_hours", feeds.plan_interval_hours, 1..=YEAR_S / 3_600);
        self.range("feeds.presentation_interval_hours", feeds.presentation_interval_hours, 1..=YEAR_S / 3_600);
        self.range("feeds.cannot_say_percent", feeds.cannot_say_percent, 0..=100);
        self.range("feeds.thin_percent", feeds.thin_percent, 0..=100);
        self.range("feeds.thin_window_hours", feeds.thin_window_hours, 1..=168);
        self.range("feeds.thin_min_expected", feeds.thin_min_expected, 1..=100_000);
        for (code, own) in &feeds.overrides {
            let key = format!("feeds.overrides.{code}");
            self.rule(identity::is_organisation_code(code), &key, "expected an ODS or GSS code in capitals");
            if let Some(seconds) = own.interval_seconds {
                self.range(&format!("{key}.interval_seconds"), seconds, 1..=YEAR_S);
            }
            if let Some(per_week) = own.expected_per_week {
                self.range(&format!("{key}.expected_per_week"), per_week, 1..=1_000_000);
                let trust = kith_domain::codes::LaCode::parse(code).is_err();
                self.rule(trust, &format!("{key}.expected_per_week"), "expected a trust: authorities have no volume");
            }
        }
    }

    fn metrics(&mut self, metrics: &Metrics) {
        let Metrics { listen, beyond_loopback } = metrics;
        let address = listen.parse::<std::net::SocketAddr>();
        self.rule(listen.is_empty() || address.is_ok(), "metrics.listen", "expected address:port, or nothing");
        self.rule(
            *beyond_loopback || address.is_ok_and(|address| address.ip().is_loopback()) || listen.is_empty(),
            "metrics.listen",
            "expected a loopback address, or metrics.beyond_loopback: the page is not encrypted and asks for no certificate",
        );
    }

    fn log(&mut self, log: &Log) {
        let usable = tracing_subscriber::EnvFilter::try_new(&log.level).is_ok() && names_levels(&log.level);
        self.rule(usable, "log.level", "expected error, warn, info, debug, trace or a filter of them");
    }
}

/// Names as systemd takes them: a file name of printable ASCII, and neither of the two that mean a directory.
fn is_credential_name(name: &str) -> bool {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
    printable && name.len() <= 255 && name != "." && name != ".."
}

/// Whether each part of a filter names a level. A word that is none would be taken for the name of a part of the program,
/// and everything else would be silent.
fn names_levels(filter: &str) -> bool {
    let level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    filter.split(',').all(|part| level(part.rsplit_once('=').map_or(part, |(_, level)| level).trim()))
}
