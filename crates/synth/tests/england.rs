//! A synthetic England read back from its files by somebody who knows only the file formats: proportions, identifiers
//! and the truth file. It uses nothing of the generator but its entry point.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod read_back;

use read_back::{England, Plan, Visit, as_of, england};
use std::collections::{BTreeMap, BTreeSet};

/// `actual` lies within `per_mille` of `expected`.
fn near(actual: u64, expected: u64, per_mille: u64) -> bool {
    actual.abs_diff(expected) * 1_000 <= expected * per_mille
}

#[test]
fn the_directory_names_everybody_and_rings_nobody() {
    let england = england();
    let organisations = england.table("directory/organisations.csv");
    let sites = england.table("directory/sites.csv");
    let authorities = england.table("directory/authorities.csv");
    assert_eq!((organisations.len(), sites.len(), authorities.len()), (137, 258 + 20, 153));
    let codes: BTreeSet<&str> = organisations.iter().map(|row| row["ods_code"].as_str()).collect();
    assert!(sites.iter().all(|row| codes.contains(row["organisation_code"].as_str())));
    let with_sites: BTreeSet<&str> = sites.iter().map(|row| row["organisation_code"].as_str()).collect();
    assert_eq!(with_sites, codes);
    let phones = organisations.iter().map(|row| &row["contact_phone"]);
    let offices = authorities.iter().map(|row| &row["office_phone"]);
    let out_of_hours = authorities.iter().map(|row| &row["out_of_hours_phone"]);
    for phone in phones.chain(offices).chain(out_of_hours) {
        let drama = ["01632 960", "020 7946 0", "07700 900"].iter().any(|range| phone.starts_with(range));
        assert!(drama && phone.len() == "020 7946 0000".len() - usize::from(!phone.starts_with("020")), "{phone}");
    }
}

#[test]
fn every_number_is_valid_distinct_and_of_the_never_issued_range() {
    let england = england();
    assert!(england.people.len() > 36_000);
    for number in england.people.keys().chain(england.truth.iter().map(|line| &line.nhs_number)) {
        assert_eq!(number.len(), 10);
        assert!(("9000000000"..="9989999999").contains(&number.as_str()), "range");
        let digits: Vec<u32> = number.chars().filter_map(|digit| digit.to_digit(10)).collect();
        let sum: u32 = digits.iter().take(9).zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
        assert_eq!((11 - sum % 11) % 11, digits[9], "check digit");
    }
    let births = england.people.values().filter(|person| person.births.len() > 1).count();
    assert_eq!(births, 0, "one number, one birth date");
}

#[test]
fn attendances_keep_the_published_proportions() {
    let england = england();
    let counts: Vec<usize> =
        england.people.values().map(|person| person.visits.len()).filter(|count| *count > 0).collect();
    let (children, visits) = (counts.len() as u64, counts.iter().sum::<usize>() as u64);
    assert_eq!(children, 35_000);
    assert!(near(visits, 63_000, 20), "{visits} attendances");
    let frequent = counts.iter().filter(|count| **count >= 4).count() as u64;
    assert!(near(frequent * 1_000 / children, 91, 50), "{frequent} frequent attenders");
    let infants = england.all_visits().filter(|(born, visit)| visit.day_number - **born < 365).count() as u64;
    let eights =
        england.all_visits().filter(|(born, visit)| (2_922..3_287).contains(&(visit.day_number - **born))).count()
            as u64;
    assert!(infants > 2 * eights, "{infants} under one year, {eights} at eight");
    let left = england.all_visits().filter(|(_, visit)| visit.outcome == "left-before-being-seen").count() as u64;
    assert!((30..=40).contains(&(left * 1_000 / visits)), "{left} left before being seen");
}

#[test]
fn trusts_see_children_in_proportion_to_their_attendances() {
    let england = england();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, visit) in england.all_visits() {
        *seen.entry(visit.trust.as_str()).or_default() += 1;
    }
    let total: u64 = seen.values().sum();
    let trusts = include_str!("../data/trusts.csv");
    let mut reader = csv::Reader::from_reader(trusts.as_bytes());
    let weights: BTreeMap<String, u64> =
        reader.records().map(|row| row.unwrap()).map(|row| (row[0].to_owned(), row[2].parse().unwrap())).collect();
    let all: u64 = weights.values().sum();
    let mut apart = 0;
    for (code, weight) in weights {
        let expected = total * weight / all;
        let actual = seen.get(code.as_str()).copied().unwrap_or(0);
        let tolerance = if expected > 400 { 300 } else { 500 };
        assert!(near(actual, expected, tolerance), "{code}: {actual} attendances, expected about {expected}");
        apart += actual.abs_diff(expected);
    }
    assert!(apart * 1_000 / total < 90, "{apart} of {total} attendances are at another trust than the proportions say");
    let away = england.people.values().filter(|person| person.visits.len() > 1).map(|person| {
        let mut trusts: BTreeMap<&str, u64> = BTreeMap::new();
        for visit in &person.visits {
            *trusts.entry(visit.trust.as_str()).or_default() += 1;
        }
        (person.visits.len() as u64, person.visits.len() as u64 - trusts.values().max().copied().unwrap_or(0))
    });
    let (of_repeats, elsewhere) = away.fold((0, 0), |(all, away), (visits, other)| (all + visits, away + other));
    assert!(
        (70..=130).contains(&(elsewhere * 1_000 / of_repeats)),
        "{elsewhere} of {of_repeats} not at the usual trust"
    );
}

#[test]
fn attendances_lie_in_the_year_before_and_only_of_children() {
    let england = england();
    for (born, visit) in england.all_visits() {
        assert!((as_of() - 365..as_of()).contains(&visit.day_number), "day of arrival");
        assert!(*born <= visit.day_number && visit.day_number - born < 18 * 366, "age at arrival");
        assert!(visit.left_day_number.is_none_or(|left| left >= visit.day_number && left < as_of()), "outcome time");
        assert_eq!(visit.outcome == "waiting", visit.left_day_number.is_none());
    }
    let lookups: usize = england.folder("accesses").map(|(_, rows)| rows.len()).sum();
    assert_eq!(lookups, england.all_visits().count());
}

#[test]
fn plans_keep_the_published_totals_and_lengths() {
    let england = england();
    let plans: Vec<&Plan> = england.people.values().flat_map(|person| &person.plans).collect();
    let count =
        |kind: &str, state: &str| plans.iter().filter(|plan| plan.kind == kind && plan.state() == state).count();
    assert_eq!((count("cpp", "active"), count("lac", "active")), (494, 818));
    assert_eq!((count("cpp", "ended"), count("lac", "ended")), (623, 299));
    assert!(near(plans.len() as u64, 2_300, 5), "{} plans", plans.len());
    let unborn = plans.iter().filter(|plan| plan.kind == "ucpp").count();
    assert!((40..=50).contains(&unborn), "{unborn} unborn");
    let shielded = plans.iter().filter(|plan| plan.shielded).count();
    assert!((6..=10).contains(&shielded), "{shielded} shielded");
    let ended = plans.iter().filter(|plan| plan.kind == "cpp" && plan.state() == "ended");
    let lengths: Vec<i32> = ended.filter_map(|plan| plan.end.map(|end| end - plan.start)).collect();
    let share = |wanted: fn(i32) -> bool| lengths.iter().filter(|days| wanted(**days)).count() * 1_000 / lengths.len();
    let mean = lengths.iter().sum::<i32>() / lengths.len() as i32;
    assert!((270..=310).contains(&mean), "mean {mean} days");
    assert!(
        (120..=200).contains(&share(|days| days <= 91)),
        "{} in 1,000 under three months",
        share(|days| days <= 91)
    );
    assert!((20..=60).contains(&share(|days| days > 730)), "{} in 1,000 over two years", share(|days| days > 730));
    assert!(england.folder("plans").all(|(_, rows)| !rows.is_empty()), "an authority without a plan");
}

#[test]
fn only_children_and_mothers_have_plans() {
    for person in england().people.values() {
        let mother = person.plans.iter().any(|plan| plan.kind == "ucpp");
        for born in &person.births {
            let days = as_of() - born;
            assert!(if mother { (15 * 365..42 * 366).contains(&days) } else { days < 18 * 366 }, "age");
            assert!(person.plans.iter().all(|plan| plan.start >= *born), "a plan before birth");
        }
        assert!(person.plans.iter().all(|plan| plan.end.is_none_or(|end| end >= plan.start && end > as_of() - 365)));
    }
}

#[test]
fn the_files_bear_out_every_line_of_the_truth() {
    let england = england();
    let mut scenarios: BTreeMap<&str, u32> = BTreeMap::new();
    for line in &england.truth {
        *scenarios.entry(line.scenario.as_str()).or_default() += 1;
        assert_eq!(line.expect, england.answer(line), "{}", line.scenario);
        assert!(england.has_trust(&line.ask_as) && line.number_traced);
        check_scenario(england, line);
    }
    assert_eq!(scenarios.len(), 15, "{scenarios:?}");
    let full = ["on-plan", "looked-after", "plan-ended", "seen-elsewhere", "none-held", "date-of-birth-mismatch"];
    assert!(full.iter().all(|name| scenarios[name] == 40), "{scenarios:?}");
}

fn check_scenario(england: &England, line: &read_back::Line) {
    let person = england.people.get(&line.nhs_number);
    let plans: &[Plan] = person.map_or(&[], |person| &person.plans);
    let visits: &[Visit] = person.map_or(&[], |person| &person.visits);
    let elsewhere = visits.iter().any(|visit| visit.day_number >= as_of() - 90 && visit.trust != line.ask_as);
    let only = |kind: &str, state: &str| matches!(plans, [plan] if plan.kind == kind && plan.state() == state);
    let authorities: BTreeSet<&str> = plans.iter().map(|plan| plan.authority.as_str()).collect();
    let holds = match line.scenario.as_str() {
        "on-plan" => only("cpp", "active") && !elsewhere,
        "on-plan-and-seen-elsewhere" => only("cpp", "active") && elsewhere,
        "looked-after" => only("lac", "active"),
        "plan-ended" => only("cpp", "ended") || only("lac", "ended"),
        "unborn" => only("ucpp", "active"),
        "seen-elsewhere" => plans.is_empty() && elsewhere,
        "shielded" => plans.iter().any(|plan| plan.shielded),
        "none-held" => person.is_none(),
        "date-of-birth-mismatch" => only("cpp", "active") && every_part_differs(line, person),
        "future-plan" => only("cpp", "future") || only("lac", "future"),
        "transferred" => {
            plans.len() == 2
                && plans.iter().any(|plan| plan.remarks.iter().any(|remark| remark.starts_with("transfer-in ")))
        }
        "withdrawn" => matches!(plans, [plan] if plan.state() == "withdrawn"),
        "two-authorities" => plans.len() == 2 && authorities.len() == 2,
        "sibling-twins" => england.truth.iter().filter(|other| other.date_of_birth == line.date_of_birth).count() >= 2,
        "frequent-attender" => plans.is_empty() && visits.len() >= 4,
        other => panic!("unknown scenario {other}"),
    };
    assert!(holds, "{}", line.scenario);
    for visit in visits {
        let age = as_of() - visit.day_number;
        assert!((age - 90).abs() > 3 && (age - 365).abs() > 3, "an attendance too near a boundary");
    }
    for plan in plans {
        assert!((plan.start - as_of()).abs() > 3, "a start too near today");
        assert!(
            plan.end.is_none_or(|end| (end - as_of()).abs() > 3 && (as_of() - end - 365).abs() > 3),
            "an end too near"
        );
    }
}

fn every_part_differs(line: &read_back::Line, person: Option<&read_back::Person>) -> bool {
    let births = person.into_iter().flat_map(|person| &person.birth_texts);
    births.into_iter().all(|held| held.split('-').zip(line.date_of_birth.split('-')).all(|(held, asked)| held != asked))
}
