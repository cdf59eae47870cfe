//! An England in the index: what a child takes, and what an answer takes, beside the records as they are in the domain.
//! `cargo bench -p kith-benches --bench england -- 1000000 12000000`; a number with an `x` before it leaves out the domain's.

mod fill;

use dashmap::DashMap;
use fill::{Failure, NOW, authority, mix, numbers, record, trust};
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::answering::{self, Found, Means};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::Feed;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::feed::FeedBoard;
use kith_domain::links::Person;
use kith_domain::permit::{ReadPermit, authorise_read};
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{PersonText, UserId};
use kith_index::Index;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: u64 = 7;
const QUESTIONS: u64 = 100_000;
const DAY_SECONDS: u32 = 86_400;

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

struct Asking {
    permit: ReadPermit,
    directory: Directory,
    settings: AnswerSettings,
}

fn asking() -> Result<Asking, Failure> {
    let mut directory = Directory::default();
    for n in 0..153 {
        let entry = AuthorityEntry {
            name: "Authority".into(),
            office_phone: "01632 960001".into(),
            out_of_hours_phone: "01632 960002".into(),
            opens_minute: 540,
            closes_minute: 1020,
        };
        directory.authorities.insert(authority(n)?, entry);
    }
    for n in 0..124 {
        let entry = OrganisationEntry { name: "Trust".into(), contact_phone: "1".into(), successor: None };
        directory.organisations.insert(trust(n)?, entry);
    }
    let organisation = trust(1)?;
    let caller = Caller {
        user_id: UserId::parse("n1")?,
        user_name: PersonText::parse("A Nurse")?,
        user_role: PersonText::parse("Triage nurse")?,
        purpose: Purpose::DirectCare,
        organisation,
    };
    let peer = Peer { organisation, role: Role::Ed };
    let permit = authorise_read(peer, &caller, CareContext::Unscheduled, &directory)
        .map_err(|refusal| format!("{refusal:?}"))?;
    Ok(Asking { permit, directory, settings: AnswerSettings::default() })
}

fn feeds(asking: &Asking) -> FeedBoard {
    let plans = asking.directory.authorities.keys().map(|code| (*code, DAY_SECONDS.into()));
    let seen = asking.directory.organisations.keys().map(|code| (*code, DAY_SECONDS.into()));
    let board = FeedBoard::new(plans, seen);
    asking.directory.authorities.keys().for_each(|code| board.heard(Feed::Plans(*code), NOW));
    asking.directory.organisations.keys().for_each(|code| board.heard(Feed::Presentations(*code), NOW));
    board
}

/// Nanoseconds of one question: median, p99 and p99.9 of those about whom something is held, and of the others.
type Figures = [[f64; 3]; 2];

/// Every other question is about a number of the second half, which is not held.
fn times(held: &[NhsNumber], seed: u64, one: impl Fn(&Question)) -> Figures {
    let half = (held.len() / 2) as u64;
    let mut times = [const { Vec::<u64>::new() }; 2];
    for n in 0..QUESTIONS {
        let absent = n % 2;
        let pick = mix(seed << 32 | n) % half + half * absent;
        let question = Question {
            subject: Subject::Nhs(held[pick as usize]),
            number_traced: true,
            birth_date: None,
            checking_in: None,
            mother: None,
            now: NOW,
        };
        let start = Instant::now();
        one(&question);
        times[absent as usize].push(start.elapsed().as_nanos() as u64);
    }
    times.map(|mut times| {
        times.sort_unstable();
        [0.5, 0.99, 0.999].map(|share| times[(share * times.len() as f64) as usize] as f64)
    })
}

/// Median, least and most.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    format!("{:.0} ({:.0}-{:.0})", values[last / 2], values[0], values[last])
}

type Row<'a> = (&'a str, Box<dyn Fn(&Question) + 'a>);

fn main() -> Result<(), Failure> {
    let sizes: Vec<String> = std::env::args().skip(1).collect();
    for size in sizes {
        let Ok(children) = size.trim_start_matches('x').parse() else { continue };
        measure(children, !size.starts_with('x'))?;
    }
    Ok(())
}

fn measure(children: usize, with_plain: bool) -> Result<(), Failure> {
    let asking = asking()?;
    let held: Vec<NhsNumber> = numbers().take(2 * children).collect();
    let index = Index::new(feeds(&asking));
    let (before, start) = (resident(), Instant::now());
    index.reserve(children as u64);
    for (n, number) in held[..children].iter().enumerate() {
        index.publish(record(n as u64, *number)?);
    }
    let sizes = index.sizes();
    let taken = resident() - before;
    println!("{sizes:?}, published in {:.1} s", start.elapsed().as_secs_f64());
    println!("index: {} MiB, {:.1} bytes a child", taken >> 20, taken as f64 / children as f64);
    let plain: DashMap<Subject, Arc<ChildRecord>> = DashMap::new();
    if with_plain {
        let before = resident();
        for (n, number) in held[..children].iter().enumerate() {
            plain.insert(Subject::Nhs(*number), Arc::new(record(n as u64, *number)?));
        }
        let taken = resident() - before;
        println!(
            "records of the domain in dashmap: {} MiB, {:.1} bytes a child",
            taken >> 20,
            taken as f64 / children as f64
        );
    }
    let answer = |question: &Question| {
        let answer = index.answer(&asking.permit, question, &asking.settings, &asking.directory);
        black_box(answer);
    };
    let read = |question: &Question| drop(black_box(index.for_writer(&question.subject)));
    let plain_answer = |question: &Question| {
        let own = plain.get(&question.subject).map(|held| Arc::clone(held.value()));
        let found = Found { person: Person { own, ..Person::default() }, ..Found::default() };
        let means = Means { settings: &asking.settings, directory: &asking.directory, feeds: index.feeds() };
        black_box(answering::answer(&asking.permit, question, &found, means));
    };
    let mut rows: Vec<Row<'_>> = vec![
        ("nothing (the clock)", Box::new(|question| drop(black_box(question.clone())))),
        ("index: read a record", Box::new(read)),
        ("index: answer", Box::new(answer)),
        ("index: answer again (A/A)", Box::new(answer)),
    ];
    if with_plain {
        rows.push(("dashmap of the domain's records: answer", Box::new(plain_answer)));
    }
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); rows.len()];
    for round in 0..ROUNDS {
        for (row, (_, one)) in rows.iter().enumerate() {
            figures[row].push(times(&held, round * 100 + row as u64, one));
        }
    }
    println!("{children} children, ns: median (least-most) of {ROUNDS} rounds\n");
    println!("| | held p50 | p99 | p99.9 | not held p50 | p99 | p99.9 |\n|---|---|---|---|---|---|---|");
    for ((name, _), figures) in rows.iter().zip(&figures) {
        let column = |kind: usize, at: usize| spread(figures.iter().map(|figures| figures[kind][at]).collect());
        let columns = [0, 1].map(|kind| [0, 1, 2].map(|at| column(kind, at)).join(" | "));
        println!("| {name} | {} |", columns.join(" | "));
    }
    println!();
    Ok(())
}
