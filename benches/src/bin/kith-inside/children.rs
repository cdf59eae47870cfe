//! Two indexes side by side, each asked about random children of its own.

use std::hint::black_box;

use clap::Args;
use kith_benches::Failure;
use kith_benches::records::{NOW, authority, mix, numbers, record, trust};
use kith_domain::NhsNumber;
use kith_domain::caller::CareContext;
use kith_domain::directory::Directory;
use kith_domain::method::Method;
use kith_domain::permit::{ReadPermit, authorise_read};
use kith_domain::policy::Policy;
use kith_domain::settings::AnswerSettings;
use kith_index::Index;

use super::{Rounds, asking};

/// Questions of a turn.
const QUESTIONS: u64 = 100_000;
const TRUSTS: u64 = 124;
const AUTHORITIES: u64 = 153;

#[derive(Args)]
pub struct Arguments {
    /// Children of the first index
    many: usize,
    /// Children of the other
    few: usize,
}

struct Asking {
    permit: ReadPermit,
    directory: Directory,
    settings: AnswerSettings,
}

fn asking() -> Result<Asking, Failure> {
    let mut directory = Directory::default();
    for n in 0..AUTHORITIES {
        directory.authorities.insert(authority(n)?, asking::authority_entry());
    }
    for n in 0..TRUSTS {
        directory.organisations.insert(trust(n)?, asking::organisation_entry());
    }
    let (peer, caller) = asking::caller(trust(1)?)?;
    let permit =
        authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory)
            .map_err(|no| format!("{no:?}"))?;
    Ok(Asking { permit, directory, settings: AnswerSettings::default() })
}

/// An index, the numbers that it holds, and as many that it does not.
struct Filled {
    index: Index,
    numbers: Vec<NhsNumber>,
}

impl Filled {
    fn new(children: usize, asking: &Asking) -> Result<Self, Failure> {
        let numbers: Vec<NhsNumber> = numbers().take(2 * children).collect();
        let index = Index::new(asking::feeds(&asking.directory, NOW));
        index.reserve(children as u64);
        for (n, number) in numbers.iter().take(children).enumerate() {
            index.publish(record(n as u64, *number)?);
        }
        Ok(Self { index, numbers })
    }

    /// Every other question is about a number of the second half, which is not held.
    fn turn(&self, seed: u64, asking: &Asking) -> Result<Vec<f64>, Failure> {
        let half = (self.numbers.len() / 2) as u64;
        let questions = (0..QUESTIONS).filter_map(|n| {
            let pick = mix(seed << 32 | n) % half + half * (n % 2);
            let number = self.numbers.get(usize::try_from(pick).ok()?)?;
            Some(asking::question(*number, None, NOW))
        });
        asking::times(questions, |question| {
            let means = (&asking.settings, &asking.directory);
            let (answer, responsible) = self.index.answer(&asking.permit, question, means.0, means.1);
            // As the engine does: else those of nothing held take half the time, and the median lies between the two.
            self.index.even_out(&answer, &asking.permit, question, means);
            black_box((answer, responsible));
            Ok(())
        })
    }
}

pub fn rounds(arguments: &Arguments, rounds: u64) -> Result<Rounds, Failure> {
    let asking = asking()?;
    let (many, few) = (Filled::new(arguments.many, &asking)?, Filled::new(arguments.few, &asking)?);
    let one = |round: u64| -> Result<_, Failure> {
        let seed = round * 3;
        Ok([many.turn(seed, &asking)?, few.turn(seed + 1, &asking)?, many.turn(seed + 2, &asking)?])
    };
    (0..rounds).map(one).collect()
}
