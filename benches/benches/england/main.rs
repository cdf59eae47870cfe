//! An England in the index: what a child takes, and what an answer takes, beside the records as they are in the domain.
//! `cargo bench -p kith-benches --bench england -- 3600000 x1000000 x12000000` compares indexes of these sizes in alternation;
//! an `x` leaves out the domain's records, which take ten times as much.

use dashmap::DashMap;
use kith_benches::Failure;
use kith_benches::records::{NOW, authority, mix, numbers, record, trust};
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::answering::{self, Found, Means};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::Feed;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::feed::FeedBoard;
use kith_domain::links::Person;
use kith_domain::method::Method;
use kith_domain::permit::{ReadPermit, authorise_read};
use kith_domain::policy::Policy;
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{PersonText, RoleCode, UserId};
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
        role_code: RoleCode::parse("R8000")?,
        purpose: Purpose::DirectCare,
        organisation,
    };
    let peer = Peer { organisation, role: Role::Ed };
    let permit =
        authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory)
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

/// The records as the domain has them.
type Plain = DashMap<Subject, Arc<ChildRecord>>;

/// One England.
struct England {
    children: usize,
    /// Numbers that are held, and as many that are not.
    numbers: Vec<NhsNumber>,
    index: Index,
    plain: Option<Plain>,
}

fn tell(what: &str, taken: u64, children: usize) {
    println!("{what}: {} MiB, {:.1} bytes a child", taken >> 20, taken as f64 / children as f64);
}

impl England {
    fn new(children: usize, with_plain: bool, asking: &Asking) -> Result<Self, Failure> {
        let numbers: Vec<NhsNumber> = numbers().take(2 * children).collect();
        let index = Index::new(feeds(asking));
        let (before, start) = (resident(), Instant::now());
        index.reserve(children as u64);
        for (n, number) in numbers[..children].iter().enumerate() {
            index.publish(record(n as u64, *number)?);
        }
        println!("{:?}, published in {:.1} s", index.sizes(), start.elapsed().as_secs_f64());
        tell("index", resident() - before, children);
        let plain = with_plain.then(|| plain(&numbers[..children])).transpose()?;
        Ok(Self { children, numbers, index, plain })
    }

    fn plain_answer(&self, plain: &Plain, question: &Question, asking: &Asking) {
        let own = plain.get(&question.subject).map(|held| Arc::clone(held.value()));
        let found = Found { person: Person { own, ..Person::default() }, ..Found::default() };
        let means = Means { settings: &asking.settings, directory: &asking.directory, feeds: self.index.feeds() };
        black_box(answering::answer(&asking.permit, question, &found, means));
    }

    /// What is measured of it.
    fn rows<'a>(&'a self, asking: &'a Asking) -> Vec<Row<'a>> {
        let name = |what: &str| format!("{}: {what}", self.children);
        let answer = move |question: &Question| {
            let answer = self.index.answer(&asking.permit, question, &asking.settings, &asking.directory);
            black_box(answer);
        };
        let read = move |question: &Question| drop(black_box(self.index.for_writer(&question.subject)));
        let mut rows: Vec<Row<'a>> = vec![
            (name("read a record"), self, Box::new(read)),
            (name("answer"), self, Box::new(answer)),
            (name("answer again (A/A)"), self, Box::new(answer)),
        ];
        if let Some(plain) = &self.plain {
            let plain_answer = move |question: &Question| self.plain_answer(plain, question, asking);
            rows.push((name("answer from the domain's records in dashmap"), self, Box::new(plain_answer)));
        }
        rows
    }
}

fn plain(numbers: &[NhsNumber]) -> Result<Plain, Failure> {
    let (before, plain) = (resident(), Plain::new());
    for (n, number) in numbers.iter().enumerate() {
        plain.insert(Subject::Nhs(*number), Arc::new(record(n as u64, *number)?));
    }
    tell("the domain's records in dashmap", resident() - before, numbers.len());
    Ok(plain)
}

type Row<'a> = (String, &'a England, Box<dyn Fn(&Question) + Sync + 'a>);

fn main() -> Result<(), Failure> {
    let asking = asking()?;
    let mut all = Vec::new();
    for size in std::env::args().skip(1) {
        if let Ok(children) = size.trim_start_matches('x').parse() {
            all.push(England::new(children, !size.starts_with('x'), &asking)?);
        }
    }
    let rows: Vec<Row<'_>> = all.iter().flat_map(|england| england.rows(&asking)).collect();
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); rows.len()];
    for round in 0..ROUNDS {
        for (row, (_, england, one)) in rows.iter().enumerate() {
            let seed = round * 100 + row as u64;
            // As in the service, where those who ask are not those who publish.
            let asked = std::thread::scope(|scope| scope.spawn(|| times(&england.numbers, seed, one)).join());
            figures[row].push(asked.map_err(|_| "a question failed")?);
        }
    }
    println!("ns: median (least-most) of {ROUNDS} rounds, all rows in each\n");
    println!("| children | held p50 | p99 | p99.9 | not held p50 | p99 | p99.9 |\n|---|---|---|---|---|---|---|");
    for ((name, _, _), figures) in rows.iter().zip(&figures) {
        let column = |kind: usize, at: usize| spread(figures.iter().map(|figures| figures[kind][at]).collect());
        let columns = [0, 1].map(|kind| [0, 1, 2].map(|at| column(kind, at)).join(" | "));
        println!("| {name} | {} |", columns.join(" | "));
    }
    Ok(())
}
