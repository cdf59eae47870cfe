//! Tests of the configuration: the compiled-in file, mistakes and overrides.

use super::*;

const CONTACT: &str = "[answers]\nnational_contact_name = \"Duty desk\"\nnational_contact_phone = \"01632 960001\"\n";

/// With lists of whom nobody trusts any more, of which a warning would else tell.
const REVOCATION: &str = "[tls]\nclient_crls = \"crls\"\n";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let environment = environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
    Config::parse("kithd.toml", &format!("{CONTACT}{text}"), environment)
}

fn mistakes(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    parse(text, environment).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_file_equals_the_defaults() {
    assert_eq!(toml::from_str::<Config>(DEFAULT_FILE).unwrap(), Config::default());
}

#[test]
fn the_default_file_has_every_key() {
    let file = toml::from_str::<toml::Table>(DEFAULT_FILE).unwrap();
    assert_eq!(file, toml::Table::try_from(Config::default()).unwrap());
}

#[test]
fn waits_for_streams_files_and_recordings_are_bounded() {
    let text = "[limits]\nstream_idle_timeout_s = 0\nfile_piece_timeout_s = 3601\nrecord_timeout_ms = 9\n";
    let found = mistakes(text, &[]);
    for expected in [
        "limits.record_timeout_ms: expected 10 to 3600000, found 9",
        "limits.stream_idle_timeout_s: expected 1 to 86400, found 0",
        "limits.file_piece_timeout_s: expected 1 to 3600, found 3601",
    ] {
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn the_length_of_a_person_is_bounded() {
    for wrong in ["2047", "65537"] {
        let found = mistakes(&format!("[limits]\nmax_person_bytes = {wrong}\n"), &[]);
        let expected = format!("limits.max_person_bytes: expected 2048 to 65536, found {wrong}");
        assert!(found.iter().any(|mistake| mistake.contains(&expected)), "{found:?}");
    }
    assert_eq!(parse("[limits]\nmax_person_bytes = 2048\n", &[]).unwrap().limits.max_person_bytes, 2_048);
}

#[test]
fn the_latest_deadline_is_bounded_and_no_earlier_than_the_default() {
    let found = mistakes("[limits]\nmax_timeout_ms = 3600001\n", &[]);
    assert!(found.iter().any(|mistake| mistake.contains("limits.max_timeout_ms: expected 10 to 3600000")), "{found:?}");
    let found = mistakes("[limits]\nmax_timeout_ms = 4999\n", &[]);
    let expected = "limits.request_timeout_ms: expected at most limits.max_timeout_ms";
    assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:?}");
    assert!(parse("[limits]\nmax_timeout_ms = 5000\n", &[]).is_ok());
}

#[test]
fn the_printed_configuration_reads_back() {
    let config = parse("[feeds.overrides]\nE06000001 = { interval_seconds = 1 }", &[]).unwrap();
    let printed = config.to_toml().unwrap();
    assert_eq!(Config::parse("printed", &printed, []).unwrap(), config);
}

#[test]
fn the_contact_for_shielded_children_must_be_set() {
    let error = Config::parse("kithd.toml", "", []).unwrap_err().to_string();
    assert!(error.contains("answers.national_contact_name: expected"), "{error}");
    assert!(error.contains("answers.national_contact_phone: expected"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let found = mistakes("[limits]\nmax_mesage_bytes = 5\n", &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("kithd.toml:5: limits.max_mesage_bytes: unknown field"), "{found:?}");
}

#[test]
fn all_mistakes_are_reported_together() {
    let text = "[limits]\nmax_worklist = \"many\"\nmax_connections = 0\nsurprise = 1\n[audit]\nmode = \"loose\"\n\
                wait_after_ms = 400\n[unknown]\na = 1\n[directory]\nbank_holidays = [\"2026-02-30\"]\n";
    let found = mistakes(text, &[("KITH__SERVER__LISTEN", "nowhere"), ("KITH__SERVER__PORT", "1")]).join("\n");
    for expected in [
        "limits.max_worklist",
        "limits.max_connections: expected 1 to",
        "limits.surprise: unknown field",
        "audit.mode: unknown variant",
        "audit.fail_after_ms: expected more than audit.wait_after_ms",
        "unknown.a: unknown field",
        "directory.bank_holidays[0]: expected a date YYYY-MM-DD",
        "KITH__SERVER__LISTEN: ",
        "KITH__SERVER__PORT: unknown field",
    ] {
        assert!(found.contains(expected), "{expected} not in:\n{found}");
    }
}

#[test]
fn all_syntax_errors_are_reported_with_their_lines() {
    let error = Config::parse("kithd.toml", "[server]\nlisten = \n[log]\nlevel = 'a\n", []).unwrap_err().to_string();
    assert!(error.contains("kithd.toml:2:"), "{error}");
    assert!(error.contains("kithd.toml:4:"), "{error}");
}

#[test]
fn a_section_that_is_a_value_is_refused() {
    let error = Config::parse("kithd.toml", "limits = 3", []).unwrap_err().to_string();
    assert!(error.contains("kithd.toml:1: limits: invalid type"), "{error}");
}

#[test]
fn a_negative_number_is_refused() {
    assert!(mistakes("[limits]\nmax_worklist = -1\n", &[])[0].contains("limits.max_worklist"));
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parse(
        "[server]\nlisten = \"127.0.0.1:1\"\ndata_threads = 3\n",
        &[
            ("KITH__SERVER__LISTEN", "127.0.0.1:2"),
            ("KITH__ANSWERS__NATIONAL_CONTACT_PHONE", "01632960002"),
            ("KITH__ANSWERS__NATIONAL_CONTACT_NAME", "7"),
            ("KITH__FEEDS__OVERRIDES__E06000001__INTERVAL_SECONDS", "1"),
            ("KITH__DIRECTORY__BANK_HOLIDAYS", "[\"2026-12-25\"]"),
            ("KITH_SERVER", "ignored: one underscore is the client's"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.data_threads, 3);
    assert_eq!(config.answers.national_contact_phone, "01632960002");
    assert_eq!(config.answers.national_contact_name, "7");
    assert_eq!(config.feeds.overrides["E06000001"].interval_seconds, Some(1));
    assert_eq!(config.directory.bank_holidays, [Day(jiff::civil::date(2026, 12, 25))]);
}

#[test]
fn overrides_of_single_feeds_are_read_and_checked() {
    let config = parse("[feeds.overrides]\n\"E06000001\" = { interval_seconds = 1 }\n", &[]).unwrap();
    assert_eq!(config.feeds.overrides["E06000001"].interval_seconds, Some(1));
    let found = mistakes("[feeds.overrides]\ne0 = { interval_seconds = 0 }\nR1H = { hours = 1 }\n", &[]).join("\n");
    assert!(found.contains("feeds.overrides.e0: expected an ODS or GSS code"), "{found}");
    assert!(found.contains("feeds.overrides.e0.interval_seconds: expected 1 to"), "{found}");
    assert!(found.contains("feeds.overrides.R1H: unknown field"), "{found}");
}

#[test]
fn a_journal_file_that_the_journal_would_refuse_is_a_mistake() {
    assert!(parse("[audit]\nsegment_bytes = 131072\n", &[]).is_ok());
    let found = mistakes("[audit]\nsegment_bytes = 131071\n", &[]);
    assert!(found[0].contains("audit.segment_bytes: expected 131072 to"), "{found:?}");
}

#[test]
fn the_audit_is_kept_for_good_or_eight_years_at_least_and_never_removed_without_a_signed_tree() {
    let of = |days: u32| format!("[audit]\nsigning_key_file = \"audit.key\"\nretention_days = {days}\n");
    assert_eq!(parse("", &[]).unwrap().audit.retention_days, 0);
    let found = mistakes(&of(2_921), &[]);
    assert!(found[0].contains("audit.retention_days: expected 2922 to"), "{found:?}");
    assert!(mistakes(&of(36_526), &[])[0].contains("audit.retention_days: expected 2922 to 36525"));
    let unsigned = mistakes("[audit]\nretention_days = 2922\n", &[]);
    assert!(unsigned[0].contains("audit.retention_days: expected audit.tree and"), "{unsigned:?}");
    let warnings = |days| parse(&(of(days) + REVOCATION), &[]).unwrap().warnings(jiff::civil::date(2026, 6, 1));
    assert!(warnings(2_922).iter().any(|told| told.starts_with("audit.retention_days")));
    assert!(warnings(9_496).iter().any(|told| told.starts_with("audit.retention_days")));
    assert_eq!(warnings(9_497), Vec::<String>::new());
    assert_eq!(warnings(0), Vec::<String>::new());
}

#[test]
fn keys_that_would_do_nothing_are_unknown() {
    for key in ["log_group_max_changes", "log_group_max_bytes", "log_queue_max_changes"] {
        let found = mistakes(&format!("[storage]\n{key} = 1000\n"), &[]).join("\n");
        assert!(found.contains(&format!("storage.{key}: unknown field")), "{found}");
    }
}

#[test]
fn bank_holidays_that_run_out_are_told_a_year_before() {
    let config = parse(&format!("[audit]\nsigning_key_file = \"audit.key\"\n{REVOCATION}"), &[]).unwrap();
    let on = |year| config.warnings(jiff::civil::date(year, 6, 1));
    assert_eq!(on(2026), Vec::<String>::new());
    assert_eq!(on(2027).len(), 1);
    assert!(on(2027)[0].contains("no day of 2028"), "{:?}", on(2027));
    assert_eq!(on(2028).len(), 2);
}

#[test]
fn files_are_never_looked_at_so_seldom_that_who_is_revoked_goes_on_for_longer_than_a_minute() {
    let of = |ms: u64| format!("[tls]\nreload_interval_ms = {ms}\n");
    assert!(parse(&of(25_000), &[]).is_ok());
    let found = mistakes(&of(25_001), &[]);
    assert!(found.len() == 1 && found[0].contains("tls.reload_interval_ms: expected 50 to 25000"), "{found:?}");
}

#[test]
fn that_nobody_is_ever_revoked_is_told() {
    let told = |lists: &str| {
        let text = format!("[audit]\nsigning_key_file = \"audit.key\"\n{lists}");
        parse(&text, &[]).unwrap().warnings(jiff::civil::date(2026, 6, 1))
    };
    assert_eq!(told(REVOCATION), Vec::<String>::new());
    let nobody = told("");
    assert!(nobody.len() == 1 && nobody[0].starts_with("tls.client_crls: none"), "{nobody:?}");
}

#[test]
fn an_audit_that_is_not_signed_is_told_and_a_key_needs_a_tree() {
    let told = parse(REVOCATION, &[]).unwrap().warnings(jiff::civil::date(2026, 6, 1));
    assert!(told.len() == 1 && told[0].starts_with("audit.signing_key_file: none"), "{told:?}");
    assert!(parse("[audit]\ntree = \"\"\n", &[]).is_ok());
    let found = mistakes("[audit]\ntree = \"\"\nsigning_key_file = \"audit.key\"\n", &[]);
    assert!(found[0].contains("audit.signing_key_file: expected audit.tree"), "{found:?}");
}

#[test]
fn witnesses_are_keys_each_once_of_which_one_that_is_none_is_named() {
    let key = |number: u8| {
        let kind = kith_merkle::KeyKind::Witness;
        kith_merkle::VerifierKey::new("witness.test/one", kind, [number; 32]).unwrap().to_string()
    };
    let text = |keys: &[String]| format!("[audit]\nsigning_key_file = \"audit.key\"\nwitnesses = {keys:?}\n");
    let config = parse(&text(&[key(1), key(2)]), &[]).unwrap();
    assert_eq!(config.audit.witnesses.iter().map(|key| key.0.to_string()).collect::<Vec<_>>(), [key(1), key(2)]);
    let found = mistakes(&text(&[key(1), "none".to_owned()]), &[]);
    assert!(found.len() == 1 && found[0].contains("audit.witnesses[1]: expected a witness's key"), "{found:?}");
    assert!(mistakes(&text(&[key(1), key(1)]), &[])[0].contains("audit.witnesses: expected each key once"));
    let many: Vec<String> = (1..=16).map(key).collect();
    assert!(mistakes(&text(&many), &[])[0].contains("audit.witnesses: expected 0 to 15, found 16"));
    let unsigned = mistakes(&format!("[audit]\nwitnesses = [{:?}]\n", key(1)), &[]);
    assert!(unsigned[0].contains("audit.witnesses: expected audit.signing_key_file"), "{unsigned:?}");
}

#[test]
fn metrics_beyond_this_machine_must_be_wanted() {
    let parse = |text: &str| Config::parse("kithd.toml", &format!("{CONTACT}[metrics]\n{text}"), []);
    assert!(parse("listen = \"127.0.0.1:9100\"").is_ok() && parse("listen = \"[::1]:9100\"").is_ok());
    assert!(parse("listen = \"0.0.0.0:9100\"").is_err_and(|error| error.to_string().contains("beyond_loopback")));
    assert!(parse("listen = \"0.0.0.0:9100\"\nbeyond_loopback = true").is_ok());
    assert!(parse("listen = \"nowhere\"").is_err());
}

#[test]
fn what_is_expected_of_a_trust_can_be_configured_alone() {
    let parse = |text: &str| Config::parse("kithd.toml", &format!("{CONTACT}[feeds.overrides]\n{text}"), []);
    let config = parse("\"R1H\" = { expected_per_week = 350 }").unwrap();
    let own = &config.feeds.overrides["R1H"];
    assert_eq!((own.expected_per_week, own.interval_seconds), (Some(350), None));
    assert_eq!(Config::parse("again", &config.to_toml().unwrap(), []).unwrap(), config);
    for bad in ["\"R1H\" = { expected_per_week = 0 }", "\"E06000001\" = { expected_per_week = 350 }"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_least_length_of_an_answer_is_bounded() {
    assert!(parse_answers("padding_step_bytes = 1024\npadding_min_steps = 64").is_ok());
    assert!(parse_answers("padding_step_bytes = 0\npadding_min_steps = 64").is_ok());
    for bad in ["padding_step_bytes = 1024\npadding_min_steps = 65", "padding_min_steps = 9223372036854775807"] {
        assert!(parse_answers(bad).is_err_and(|found| found.to_string().contains("padding_min_steps")), "{bad}");
    }
}

fn parse_answers(text: &str) -> Result<Config, Mistakes> {
    Config::parse("kithd.toml", &format!("{CONTACT}{text}\n"), [])
}
