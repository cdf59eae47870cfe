//! Which hospitals a child of an authority goes to, and which authorities a hospital serves: nearness and size as
//! whole-number weights. Never a claim about real catchments; near enough for a load that looks like England.

use crate::dice::{Choice, Dice};
use crate::reference::{Authority, Point, Reference, Trust};

/// Weight of an authority in which the trust has a site.
const SAME_PLACE: u64 = 100;
/// Weights by distance: up to (metres, weight); beyond the last, none.
const NEARNESS: [(i64, u64); 4] = [(5_000, 25), (10_000, 8), (20_000, 3), (35_000, 1)];
/// The nearest trust of an authority, and the nearest authority of a trust, weigh at least this.
const NEAREST: u64 = 10;
/// Usual size of an authority; counties hold several districts; two authorities have hardly any children.
const SIZE: u64 = 100;
const COUNTY_SIZE: u64 = 150;
const TINY_SIZE: u64 = 1;
const TINY: [&str; 2] = ["E09000001", "E06000053"];
/// Keeps the shares of small authorities whole numbers.
const SHARE: u64 = 1_000_000;

/// Where a household lives: its authority and the trust it usually goes to.
#[derive(Clone, Copy)]
pub(crate) struct Home {
    pub(crate) trust: u16,
    pub(crate) authority: u16,
}

/// The prepared weights.
pub(crate) struct Geography {
    national: Choice,
    authorities_of: Vec<Choice>,
    trusts_of: Vec<Choice>,
}

impl Geography {
    /// Works the weights out once.
    pub(crate) fn new(reference: &Reference) -> Self {
        let weights = nearness(reference);
        let mut national = Choice::default();
        let mut authorities_of = Vec::new();
        let mut trusts_of: Vec<Choice> = reference.authorities.iter().map(|_| Choice::default()).collect();
        for (place, (trust, row)) in reference.trusts.iter().zip(&weights).enumerate() {
            national.push(place as u16, trust.attendances);
            let total = row.iter().sum::<u64>().max(1);
            let mut authorities = Choice::default();
            for (authority, weight) in row.iter().enumerate() {
                authorities.push(authority as u16, *weight);
                trusts_of[authority].push(place as u16, trust.attendances * SHARE * weight / total);
            }
            authorities_of.push(authorities);
        }
        Self { national, authorities_of, trusts_of }
    }

    /// A home anywhere in England, in proportion to what the trusts see.
    pub(crate) fn home(&self, dice: &mut Dice) -> Home {
        let trust = self.national.draw(dice).unwrap_or(0);
        let authority = self.authorities_of[usize::from(trust)].draw(dice).unwrap_or(0);
        Home { trust, authority }
    }

    /// A home in a given authority.
    pub(crate) fn home_in(&self, dice: &mut Dice, authority: u16) -> Home {
        let trust = self.trusts_of[usize::from(authority)].draw(dice).unwrap_or(0);
        Home { trust, authority }
    }

    /// Another trust near this home, or, where there is none, another anywhere.
    pub(crate) fn neighbour(&self, dice: &mut Dice, home: Home) -> u16 {
        let near = self.trusts_of[usize::from(home.authority)].draw_other(dice, home.trust);
        near.unwrap_or_else(|| self.faraway(dice, home))
    }

    /// Another trust anywhere in England: a visit away from home.
    pub(crate) fn faraway(&self, dice: &mut Dice, home: Home) -> u16 {
        self.national.draw_other(dice, home.trust).unwrap_or(home.trust)
    }

    /// Another authority that this home's trust serves, or one further away.
    pub(crate) fn other_authority(&self, dice: &mut Dice, home: Home) -> u16 {
        let near = self.authorities_of[usize::from(home.trust)].draw_other(dice, home.authority);
        near.unwrap_or_else(|| {
            let count = self.trusts_of.len() as u32;
            let shift = 1 + dice.below(count - 1);
            ((u32::from(home.authority) + shift) % count) as u16
        })
    }
}

/// Weight of each authority for each trust.
fn nearness(reference: &Reference) -> Vec<Vec<u64>> {
    let distances: Vec<Vec<i64>> = reference
        .trusts
        .iter()
        .map(|trust| reference.authorities.iter().map(|authority| distance(trust, authority)).collect())
        .collect();
    let mut weights: Vec<Vec<u64>> =
        distances.iter().map(|row| row.iter().map(|metres| weight(*metres)).collect()).collect();
    for (trust, row) in distances.iter().enumerate() {
        if let Some((nearest, _)) = row.iter().enumerate().min_by_key(|(_, metres)| **metres) {
            weights[trust][nearest] = weights[trust][nearest].max(NEAREST);
        }
    }
    for authority in 0..reference.authorities.len() {
        if let Some((nearest, _)) = distances.iter().enumerate().min_by_key(|(_, row)| row[authority]) {
            weights[nearest][authority] = weights[nearest][authority].max(NEAREST);
        }
    }
    for row in &mut weights {
        for (weight, authority) in row.iter_mut().zip(&reference.authorities) {
            *weight *= size(&authority.code);
        }
    }
    weights
}

fn size(code: &str) -> u64 {
    if TINY.contains(&code) {
        TINY_SIZE
    } else if code.starts_with("E10") {
        COUNTY_SIZE
    } else {
        SIZE
    }
}

fn weight(metres: i64) -> u64 {
    if metres == 0 {
        return SAME_PLACE;
    }
    NEARNESS.iter().find(|(limit, _)| metres < *limit).map_or(0, |(_, weight)| *weight)
}

/// Metres between the closest points of the two; 0 when the trust has a site in the authority.
fn distance(trust: &Trust, authority: &Authority) -> i64 {
    let pairs = trust.points.iter().flat_map(|from| authority.points.iter().map(|to| metres(*from, *to)));
    pairs.min().unwrap_or(i64::MAX)
}

/// Metres on a flat England at 53 degrees north: a ten-thousandth of a degree is 11.1 m north, 6.7 m east.
fn metres(from: Point, to: Point) -> i64 {
    let north = (from.north - to.north) * 1_113 / 100;
    let east = (from.east - to.east) * 670 / 100;
    (north * north + east * east).isqrt()
}

#[cfg(test)]
mod tests {
    use super::{Geography, Home};
    use crate::dice::{Dice, Part};
    use crate::reference::Reference;

    #[test]
    fn every_authority_has_a_trust_and_every_trust_an_authority() {
        let reference = Reference::load().unwrap();
        let geography = Geography::new(&reference);
        let mut dice = Dice::new(1, Part::Families, 0, 0);
        for authority in &geography.trusts_of {
            assert!(authority.draw(&mut dice).is_some());
        }
        for trust in &geography.authorities_of {
            assert!(trust.draw(&mut dice).is_some());
        }
    }

    #[test]
    fn another_is_never_the_same() {
        let reference = Reference::load().unwrap();
        let geography = Geography::new(&reference);
        let mut dice = Dice::new(1, Part::Families, 0, 0);
        for place in 0..137 {
            let home =
                Home { trust: place, authority: geography.authorities_of[usize::from(place)].draw(&mut dice).unwrap() };
            assert_ne!(geography.neighbour(&mut dice, home), home.trust);
            assert_ne!(geography.other_authority(&mut dice, home), home.authority);
        }
    }
}
