//! Kinds of traffic and their weights.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// One kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A question about somebody of whom something is held.
    Hit,
    /// A question about a number of which nothing is held.
    Miss,
    /// A question of the truth file, compared in full.
    Truth,
    /// A question in planned care.
    Scheduled,
    /// A check-in.
    CheckIn,
    /// A worklist.
    Worklist,
    /// A plan event on a stream.
    PlanEvent,
    /// A whole plan file.
    PlanFile,
    /// A unary call to any path, whose answer is not looked at.
    Empty,
}

/// How many kinds there are.
pub const KINDS: usize = 9;

impl Kind {
    /// All of them, with their names in options and reports.
    pub const ALL: [(Self, &'static str); KINDS] = [
        (Self::Hit, "lookup-hit"),
        (Self::Miss, "lookup-miss"),
        (Self::Truth, "lookup-truth"),
        (Self::Scheduled, "lookup-scheduled"),
        (Self::CheckIn, "check-in"),
        (Self::Worklist, "worklist"),
        (Self::PlanEvent, "plan-event"),
        (Self::PlanFile, "plan-file"),
        (Self::Empty, "empty"),
    ];

    /// Position in [`Kind::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self.index()].1
    }

    /// Whether it is one question about one person.
    #[must_use]
    pub fn is_lookup(self) -> bool {
        matches!(self, Self::Hit | Self::Miss | Self::Truth | Self::Scheduled)
    }
}

/// Weights of kinds.
#[derive(Clone, Debug)]
pub struct Mix {
    ends: Vec<(f64, Kind)>,
    total: f64,
}

/// Words of an option that do not make a mix; they follow "failed to understand the mix: ".
#[derive(Debug, PartialEq, Eq)]
pub struct MixError(pub String);

impl Mix {
    /// Reads `name=weight,...`. The name `lookup` stands for half hits and half misses.
    ///
    /// # Errors
    /// An unknown name, a weight that is no positive number, and a name given twice.
    pub fn parse(text: &str) -> Result<BTreeMap<String, f64>, MixError> {
        let mut weights = BTreeMap::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight: f64 =
                weight.trim().parse().map_err(|_| MixError(format!("expected a weight, found {weight:?}")))?;
            if !(weight.is_finite() && weight > 0.0) {
                return Err(MixError(format!("expected a weight above 0 for {name}, found {weight}")));
            }
            let shares = match name.trim() {
                "lookup" => vec![("lookup-hit", weight / 2.0), ("lookup-miss", weight / 2.0)],
                "plan-file" => {
                    return Err(MixError("plan files have a time of their own: see --file-interval-ms".into()));
                }
                other => vec![(known(other)?, weight)],
            };
            for (name, weight) in shares {
                if weights.insert(name.to_owned(), weight).is_some() {
                    return Err(MixError(format!("{name} is given twice")));
                }
            }
        }
        Ok(weights)
    }

    /// The kinds of `weights` that `keep` wants; none when there is none.
    #[must_use]
    pub fn of(weights: &BTreeMap<String, f64>, keep: impl Fn(Kind) -> bool) -> Option<Self> {
        let (mut ends, mut total) = (Vec::new(), 0.0);
        for (kind, name) in Kind::ALL {
            if let Some(weight) = weights.get(name).filter(|_| keep(kind)) {
                total += weight;
                ends.push((total, kind));
            }
        }
        (!ends.is_empty()).then_some(Self { ends, total })
    }

    /// Draws a kind.
    pub fn draw(&self, dice: &mut Dice) -> Kind {
        let at = dice.unit() * self.total;
        let found = self.ends.iter().find(|(end, _)| at <= *end).or(self.ends.last());
        found.map_or(Kind::Miss, |(_, kind)| *kind)
    }

    /// The kinds in it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.ends.iter().map(|(_, kind)| *kind)
    }
}

fn known(name: &str) -> Result<&'static str, MixError> {
    let found = Kind::ALL.iter().find(|(_, known)| *known == name).map(|(_, known)| *known);
    found.ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).filter(|name| *name != "plan-file").collect();
        MixError(format!("expected lookup, {}, found {name:?}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_half_hits_and_half_misses() {
        let weights = Mix::parse("lookup=90,check-in=10").unwrap();
        let mix = Mix::of(&weights, |_| true).unwrap();
        let mut dice = Dice::new(1, 1);
        let mut counts = [0_u32; KINDS];
        for _ in 0..100_000 {
            counts[mix.draw(&mut dice).index()] += 1;
        }
        assert!((44_000..46_000).contains(&counts[Kind::Hit.index()]), "{counts:?}");
        assert!((44_000..46_000).contains(&counts[Kind::Miss.index()]), "{counts:?}");
        assert!((9_500..10_500).contains(&counts[Kind::CheckIn.index()]), "{counts:?}");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in
            ["lokup=1", "lookup=0", "lookup=-1", "lookup=x", "lookup=1,lookup-hit=1", "", "plan-file=1", "empty=inf"]
        {
            assert!(Mix::parse(text).is_err(), "{text}");
        }
        assert!(Mix::of(&Mix::parse("empty").unwrap(), |kind| kind.is_lookup()).is_none());
    }

    #[test]
    fn names_and_positions_agree() {
        for (position, (kind, name)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind.index(), kind.name()), (position, name));
        }
    }
}
