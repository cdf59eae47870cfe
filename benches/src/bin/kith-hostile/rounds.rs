//! How often a row is measured: so many rounds, more where noise decides, and again what the generator could not measure or where the
//! attack did not take place. All of it bounded, so that the longest time can be told before it begins.

use anyhow::Result;

use crate::runs::{Measured, Run, Side};
use crate::table::Row;

/// A row that stays undecided has so many times the rounds of another.
const LONGEST: usize = 3;
/// Runs of a row that are made again because their figures tell nothing; then the row is not measured.
const REPEATS: usize = 6;

/// Measures a row; `one` is one run.
///
/// # Errors
/// A run could not be made.
pub fn row(name: &str, attacked: bool, rounds: usize, mut one: impl FnMut(Side) -> Result<Run>) -> Result<Row> {
    let mut row = Row::new(name, attacked);
    let mut repeats = REPEATS;
    while wants_more(&row, rounds) {
        println!("{name}: round {}", row.rounds() + 1);
        if let Some(measured) = round(&mut row, &mut repeats, &mut one)? {
            row.add(measured);
        }
    }
    Ok(row)
}

/// Whole sets of rounds: who looked after each whether it is enough would stop at the luckiest.
fn wants_more(row: &Row, rounds: usize) -> bool {
    let done = row.rounds();
    let within_a_set = done < rounds || !done.is_multiple_of(rounds);
    !row.is_given_up() && (within_a_set || (done < LONGEST * rounds && row.is_undecided()))
}

/// One round; nothing when the row is given up.
fn round(
    row: &mut Row,
    repeats: &mut usize,
    one: &mut impl FnMut(Side) -> Result<Run>,
) -> Result<Option<[Measured; 4]>> {
    let mut next = |side: Side| -> Result<Option<Measured>> {
        loop {
            let Run { measured, void } = one(side)?;
            let Some(why) = void else { return Ok(Some(measured)) };
            // Its times tell nothing. Whoever was not answered in it was not answered.
            row.add_void(side, &measured);
            if *repeats == 0 {
                row.give_up(&why);
                return Ok(None);
            }
            *repeats -= 1;
            println!("{why}: once more");
        }
    };
    let Some(first) = next(Side::Kith)? else { return Ok(None) };
    let Some(second) = next(Side::Empty)? else { return Ok(None) };
    let Some(third) = next(Side::Kith)? else { return Ok(None) };
    Ok(next(Side::Empty)?.map(|fourth| [first, second, third, fourth]))
}

/// Runs of all rows, where nothing is undecided and where everything is.
pub fn runs(attacked: usize, unattacked: usize, rounds: usize) -> (usize, usize) {
    let of_rounds = |times: usize| times * rounds * 4;
    let least = (attacked + unattacked) * of_rounds(1);
    (least, attacked * (of_rounds(LONGEST) + REPEATS) + unattacked * (of_rounds(1) + REPEATS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(p50_us: f64) -> Run {
        let measured = Measured {
            p50_us,
            p99_us: p50_us,
            failed: 0,
            errors: String::new(),
            late_share: 0.0,
            resident_bytes: 1 << 20,
            attackers: 8,
            tried: 0,
        };
        Run { measured, void: None }
    }

    fn void() -> Run {
        Run { void: Some("the generator missed its own schedule".into()), ..measured(100.0) }
    }

    /// Runs of a row, of which Kith's cost so much.
    fn row_of(attacked: bool, kith: &[f64]) -> (Row, usize) {
        let mut made = 0;
        let row = row("floods", attacked, 3, |side| {
            made += 1;
            let at = |n: usize| kith[n % kith.len()];
            Ok(measured(if side == Side::Kith { at(made / 2) } else { 100.0 }))
        });
        (row.unwrap(), made)
    }

    #[test]
    fn what_is_decided_has_its_rounds_and_no_more() {
        assert_eq!(row_of(true, &[100.0]).1, 12);
        assert_eq!(row_of(true, &[200.0]).1, 12);
        assert_eq!(runs(8, 1, 3), (108, 8 * 42 + 18));
    }

    #[test]
    fn what_is_undecided_is_measured_three_times_as_often_and_then_is_undecided() {
        // Either side of what is to be reached, and so far apart that their median tells nothing.
        let (row, made) = row_of(true, &[100.0, 150.0]);
        assert_eq!((made, row.is_undecided()), (36, true));
        assert_eq!(row_of(false, &[100.0, 150.0]).1, 12, "without an attack nothing is judged");
    }

    #[test]
    fn a_run_that_tells_nothing_is_made_again_and_not_for_ever() {
        let mut made = 0;
        let again = row("floods", true, 3, |_| {
            made += 1;
            Ok(if made > REPEATS { measured(100.0) } else { void() })
        });
        assert_eq!((again.unwrap().is_given_up(), made), (false, 12 + REPEATS));
        let mut made = 0;
        let never = row("floods", true, 3, |_| {
            made += 1;
            Ok(void())
        });
        assert_eq!((never.unwrap().is_given_up(), made), (true, 1 + REPEATS));
    }
}
