//! The plans of England on two nights: who has one, in which authority's file it stands, and what the second night's file
//! says otherwise. Numbers are of the never-issued range. It knows nothing of what an answer would be.

use kith_domain::NhsNumber;
use kith_domain::change::PlanAction;
use kith_domain::codes::LaCode;
use kith_domain::plan::PlanKind;
use kith_domain::plan_file::PlanRow;
use kith_domain::text::PlanReference;
use kith_domain::time::Day;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::harness::build::nhs;

const AUTHORITIES: &str = include_str!("../../../crates/synth/data/local_authorities.csv");
/// Most plans that a second night's file leaves out: well under the bound of 5 of a hundred.
const LEFT_OUT_PERCENT: usize = 3;
const NAMES: &str = "nhs_number,date_of_birth,plan,start,end,reference,family,remark\n";

/// A plan in one authority's files: as the first night's names it, and the second's. Either may not name it.
pub struct Part {
    pub authority: usize,
    pub nights: [Option<PlanRow>; 2],
}

/// A child with its plans.
pub struct Child {
    pub number: NhsNumber,
    pub parts: Vec<Part>,
    /// What the second night brings.
    pub fate: &'static str,
}

/// Everyone, and the authorities.
pub struct England {
    pub authorities: Vec<LaCode>,
    pub children: Vec<Child>,
    /// Children of each authority: all of them, and those whom the second night changes.
    pub of_authority: Vec<[Vec<usize>; 2]>,
}

/// The real authorities of England.
pub fn authorities() -> Vec<LaCode> {
    let codes = AUTHORITIES.lines().skip(1).filter_map(|line| line.split(',').next());
    codes.map(|code| LaCode::parse(code).expect("a code")).collect()
}

fn remark(row: &PlanRow) -> String {
    let mut words = vec![];
    for action in &row.actions {
        if let PlanAction::TransferOut(to) = action {
            words.push(format!("transfer-out {to}"));
        } else if let PlanAction::TransferIn(from) = action {
            words.push(format!("transfer-in {from}"));
        } else if *action == PlanAction::Withdraw {
            words.push("withdrawn".to_owned());
        }
    }
    if row.shielded {
        words.push("shielded".to_owned());
    }
    words.join(";")
}

fn line(row: &PlanRow) -> String {
    let day = |day: Option<Day>| day.map(Day::text).unwrap_or_default();
    let kind = match row.kind {
        PlanKind::ChildProtection => "cpp",
        PlanKind::LookedAfter => "lac",
        PlanKind::Unborn => "ucpp",
    };
    let reference = row.reference.as_ref().map_or("", |reference| reference.as_str());
    let (born, start, end) = (day(row.birth_date), day(row.start), day(row.end));
    format!("{},{born},{kind},{start},{end},{reference},,{}\n", row.number.digits(), remark(row))
}

impl England {
    /// So many rows on the first night.
    pub fn new(dice: &mut ChaCha8Rng, rows: usize, today: Day) -> Self {
        let authorities = authorities();
        let mut england = Self {
            of_authority: authorities.iter().map(|_| [Vec::new(), Vec::new()]).collect(),
            authorities,
            children: Vec::with_capacity(rows),
        };
        let mut made = 0;
        while made < rows {
            let child = england.child(dice, today);
            made += child.parts.iter().filter(|part| part.nights[0].is_some()).count();
            for part in &child.parts {
                let [all, changed] = &mut england.of_authority[part.authority];
                all.push(england.children.len());
                if child.fate != "unchanged" {
                    changed.push(england.children.len());
                }
            }
            england.children.push(child);
        }
        england
    }

    fn row(&self, dice: &mut ChaCha8Rng, number: NhsNumber, today: Day) -> PlanRow {
        let kinds = [PlanKind::ChildProtection, PlanKind::LookedAfter];
        let start = today.plus_days(-dice.random_range(3..600));
        let end = dice.random_bool(0.05).then(|| today.plus_days(dice.random_range(5..90)));
        let reference = dice.random_bool(0.7).then(|| format!("P-{}", number.value() % 10_000_000));
        PlanRow {
            number,
            birth_date: dice.random_bool(0.9).then(|| today.plus_days(-dice.random_range(600..5_500))),
            kind: kinds[dice.random_range(0..2)],
            start: Some(start),
            end,
            reference: reference.map(|text| PlanReference::parse(&text).expect("a reference")),
            family: None,
            actions: Vec::new(),
            shielded: dice.random_bool(0.003),
        }
    }

    /// One child and its fate. Shares follow what changes in a day of England, many times over.
    fn child(&self, dice: &mut ChaCha8Rng, today: Day) -> Child {
        let number = nhs(u32::try_from(self.children.len()).expect("a few hundred thousand"));
        let authority = dice.random_range(0..self.authorities.len());
        let first = self.row(dice, number, today);
        let (fate, parts) = match dice.random_range(0..1_000) {
            0..40 => {
                ("changed", vec![Part { authority, nights: [Some(first.clone()), Some(changed(dice, &first, today))] }])
            }
            40..60 => {
                let ended = PlanRow { end: Some(today.plus_days(-1)), ..first.clone() };
                ("ended", vec![Part { authority, nights: [Some(first), Some(ended)] }])
            }
            60..85 => ("new", vec![Part { authority, nights: [None, Some(first)] }]),
            85..115 => ("moved", self.moved(dice, authority, &first, today)),
            115..120 => {
                let withdrawn = PlanRow { actions: vec![PlanAction::Withdraw], ..first.clone() };
                ("withdrawn", vec![Part { authority, nights: [Some(first), Some(withdrawn)] }])
            }
            120..123 => {
                let shielded = PlanRow { shielded: true, ..first.clone() };
                ("shielded", vec![Part { authority, nights: [Some(first), Some(shielded)] }])
            }
            123..140 => {
                // Two plans in two authorities' files, both of them changed.
                let other = (authority + 1 + dice.random_range(0..self.authorities.len() - 1)) % self.authorities.len();
                let second = PlanRow { reference: None, birth_date: first.birth_date, ..self.row(dice, number, today) };
                let one = changed(dice, &first, today);
                let two = changed(dice, &second, today);
                let parts = [(authority, first, one), (other, second, two)];
                (
                    "two authorities",
                    parts.map(|(authority, a, b)| Part { authority, nights: [Some(a), Some(b)] }).into(),
                )
            }
            _ if dice.random_range(0..100) < LEFT_OUT_PERCENT => {
                ("left out", vec![Part { authority, nights: [Some(first), None] }])
            }
            _ => ("unchanged", vec![Part { authority, nights: [Some(first.clone()), Some(first)] }]),
        };
        Child { number, parts, fate }
    }

    /// Out of one authority's file and into another's.
    fn moved(&self, dice: &mut ChaCha8Rng, from: usize, first: &PlanRow, today: Day) -> Vec<Part> {
        let to = (from + 1 + dice.random_range(0..self.authorities.len() - 1)) % self.authorities.len();
        let leaves = vec![PlanAction::Change, PlanAction::TransferOut(self.authorities[to])];
        let out = PlanRow { end: None, actions: leaves, ..first.clone() };
        let start = today.plus_days(-dice.random_range(0..3));
        let arrived = vec![PlanAction::TransferIn(self.authorities[from])];
        let into = PlanRow { start: Some(start), end: None, reference: None, actions: arrived, ..first.clone() };
        let before = PlanRow { end: None, start: first.start.map(|day| day.plus_days(-10)), ..first.clone() };
        let out = PlanRow { start: before.start, ..out };
        vec![
            Part { authority: from, nights: [Some(before), Some(out)] },
            Part { authority: to, nights: [None, Some(into)] },
        ]
    }

    /// An authority's file of a night.
    pub fn file(&self, authority: usize, night: usize) -> Vec<u8> {
        let mode = if night == 0 { "snapshot,report-missing" } else { "snapshot,end-missing" };
        let mut text = format!("kith-plans,1,{},{mode}\n{NAMES}", night + 1);
        for child in &self.of_authority[authority][0] {
            for part in self.children[*child].parts.iter().filter(|part| part.authority == authority) {
                text.extend(part.nights[night].as_ref().map(line));
            }
        }
        text.into_bytes()
    }
}

/// The same plan with another last day, first day or birth date.
fn changed(dice: &mut ChaCha8Rng, row: &PlanRow, today: Day) -> PlanRow {
    let mut row = row.clone();
    match dice.random_range(0..3) {
        0 if row.reference.is_some() => row.start = row.start.map(|day| day.plus_days(-1)),
        1 => row.kind = if row.reference.is_some() { PlanKind::ChildProtection } else { row.kind },
        _ => row.end = Some(today.plus_days(dice.random_range(100..200))),
    }
    row
}
