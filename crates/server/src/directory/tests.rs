//! Tests of the directory files: accepted forms, and every mistake placed.

use super::*;
use ring::digest::{SHA256, digest};

const ORGANISATIONS: &str =
    "ods_code,name,contact_phone,successor_code\nR1H,Barts,01632 960100,\nR9Z,Old,01632960101,R1H\n";
const SITES: &str = "ods_site_code,name,organisation_code\nR1H12,Royal London,R1H\n";
const AUTHORITIES: &str = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
                           E06000001,Hartlepool,01632 960200,01632 960201,08:30,17:00\n";

fn load(organisations: &str, sites: &str, authorities: &str) -> Result<Directory, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    for (name, text, path) in [
        ("organisations.csv", organisations, &mut config.directory.organisations),
        ("sites.csv", sites, &mut config.directory.sites),
        ("authorities.csv", authorities, &mut config.directory.authorities),
    ] {
        *path = dir.path().join(name);
        std::fs::write(&*path, text).unwrap();
    }
    Directory::load(&config).map_err(|mistakes| mistakes.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn good_files_are_read() {
    let directory = load(ORGANISATIONS, SITES, AUTHORITIES).unwrap();
    assert_eq!(directory.organisation("R9Z").unwrap().successor.as_deref(), Some("R1H"));
    assert_eq!(directory.organisation("R1H").unwrap().successor, None);
    assert_eq!(directory.site("R1H12").unwrap().organisation, "R1H");
    let authority = directory.authority("E06000001").unwrap();
    assert_eq!(authority.office_opens, jiff::civil::time(8, 30, 0, 0));
    assert_eq!(authority.out_of_hours_phone, "01632 960201");
    assert_eq!(directory.organisations().len(), 2);
    assert!(directory.organisation("r1h").is_none());
}

#[test]
fn the_hash_is_that_of_the_three_files_each_behind_its_length() {
    let directory = load(ORGANISATIONS, SITES, AUTHORITIES).unwrap();
    let of = |text: &str| [&(text.len() as u64).to_be_bytes()[..], text.as_bytes()].concat();
    let whole = digest(&SHA256, &[ORGANISATIONS, SITES, AUTHORITIES].map(of).concat());
    let expected: &[u8] = whole.as_ref();
    assert_eq!(&directory.sha256()[..], expected);
    let another_number = AUTHORITIES.replace("01632 960201", "01632 960299");
    assert_ne!(load(ORGANISATIONS, SITES, &another_number).unwrap().sha256(), directory.sha256());
}

#[test]
fn byte_order_mark_crlf_and_other_column_order_are_accepted() {
    let sites = "\u{feff}organisation_code,ods_site_code,name\r\nR1H,R1H12,\"Royal, London\"\r\n";
    let directory = load(ORGANISATIONS, sites, AUTHORITIES).unwrap();
    assert_eq!(directory.site("R1H12").unwrap().name, "Royal, London");
}

#[test]
fn every_mistake_is_reported_with_file_row_and_column() {
    let organisations = "ods_code,name,contact_phone,successor_code\nr1h,Barts,01632 960100,\nR1H,,n/a,ZZZ\n\
                         R1J,A,01632960100,\nR1J,B,01632960100,\nR1K,C,01632960100,R1K\nR1L,D,01632960100,QQQ\nR1M,x\n";
    let sites = "ods_site_code,name,organisation_code,colour\nR1H1,Short,R1J,red\nR1J12,Far,R9X,red\n";
    let authorities = "gss_code,name,office_phone,out_of_hours_phone,office_opens\nE06000001,H,1,2,08:30\n";
    let found = load(organisations, sites, authorities).unwrap_err();
    for expected in [
        "organisations.csv: row 2: column ods_code: expected an ODS code",
        "organisations.csv: row 3: column name: expected a name",
        "organisations.csv: row 3: column contact_phone: expected a telephone number, found \"n/a\"",
        "organisations.csv: row 5: column ods_code: \"R1J\" stands twice",
        "organisations.csv: row 6: column successor_code: successors go round in a circle",
        "organisations.csv: row 7: column successor_code: expected an ods_code of this file",
        "organisations.csv: row 8: expected 4 cells, found 2",
        "sites.csv: row 1: unknown column \"colour\"",
        "sites.csv: row 2: column ods_site_code: expected an ODS site code",
        "sites.csv: row 3: column organisation_code: expected a code of the organisations file",
        "authorities.csv: row 1: missing column \"office_closes\"",
    ] {
        assert!(found.contains(expected), "{expected} not in:\n{found}");
    }
}

#[test]
fn office_hours_must_be_times_in_order() {
    let head = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n";
    for (row, expected) in [
        ("E06000001,H,01632960200,01632960201,17:00,08:30", "column office_closes: expected a time after"),
        ("E06000001,H,01632960200,01632960201,8:30,17:00", "column office_opens: expected a time HH:MM"),
        ("E06000001,H,01632960200,01632960201,+8:30,17:00", "column office_opens: expected a time HH:MM"),
        ("E06000001,H,01632960200,01632960201,08:30,24:00", "column office_closes: expected a time HH:MM"),
        ("E0600000,H,01632960200,01632960201,08:30,17:00", "column gss_code: expected a GSS code"),
        ("E06000001,\"H\nx\",01632960200,01632960201,08:30,17:00", "column name: expected no control"),
    ] {
        let found = load(ORGANISATIONS, SITES, &format!("{head}{row}\n")).unwrap_err();
        assert!(found.contains(expected), "{expected} not in:\n{found}");
    }
}

#[test]
fn a_missing_file_is_one_mistake_and_the_others_are_still_read() {
    let mut config = Config::default();
    config.directory.organisations = "/nonexistent/organisations.csv".into();
    config.directory.sites = "/nonexistent/sites.csv".into();
    let found = Directory::load(&config).unwrap_err().to_string();
    assert!(found.contains("organisations.csv: cannot be read"), "{found}");
    assert!(found.contains("sites.csv: cannot be read"), "{found}");
}

#[test]
fn a_feed_override_must_name_a_known_code() {
    let mut config = Config::default();
    config.feeds.overrides.insert(
        String::from("E09999999"),
        crate::config::FeedOverride { interval_seconds: Some(1), expected_per_week: None },
    );
    let found = Directory::load(&config).unwrap_err().to_string();
    assert!(found.contains("feeds.overrides.E09999999: expected a code of the directory"), "{found}");
}

#[test]
fn telephone_numbers() {
    for good in ["01632 960100", "+44 1632 960100", "(01632) 960-100", "111"] {
        assert!(is_phone(good), "{good}");
    }
    for bad in ["", "n/a", "12", "0163+2960100", "01632 960100 ext 5", "0\u{661}632960100"] {
        assert!(!is_phone(bad), "{bad}");
    }
}
