//! Nothing that belongs to a real person or to one machine stands in the repository:
//! no NHS number of the ranges in use, no path of a developer's own machine.

use super::Finding;

/// Numbers with these first digits are issued; 9 never is. Valid by check digit only:
/// one number in eleven of any other kind would pass for one, so the first digit decides too.
const ISSUED_FIRST: [char; 4] = ['3', '4', '6', '7'];

/// Other projects' hashes and coordinates, not written by us.
const NOT_OURS: [&str; 1] = ["Cargo.lock"];

pub fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if NOT_OURS.contains(&path) {
        return;
    }
    // Put together here, or this file would find itself.
    let places = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    for (number, line) in text.lines().enumerate() {
        if has_issued_number(line) {
            findings.push(Finding::new(path, number + 1, "an NHS number of an issued range: use 999 ... for fixtures"));
        }
        if let Some(place) = places.iter().find(|place| has_place(line, place)) {
            findings.push(Finding::new(path, number + 1, format!("{place} is a path of one machine")));
        }
    }
}

/// The place itself, also in quotes, but not as a part of a longer path.
fn has_place(line: &str, place: &str) -> bool {
    line.match_indices(place)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "_-.}".contains(c)))
}

/// Ten digits together, or as 3 3 4 with one separator, standing alone.
fn has_issued_number(line: &str) -> bool {
    let chars: Vec<char> = line.chars().collect();
    (0..chars.len()).any(|start| {
        let alone = start == 0 || !joins(chars[start - 1]);
        alone && ISSUED_FIRST.contains(&chars[start]) && number_at(&chars[start..])
    })
}

fn joins(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.' || c == '-' || c == '+'
}

fn number_at(chars: &[char]) -> bool {
    let mut digits = Vec::with_capacity(10);
    let mut length = 0;
    for c in chars {
        if let Some(digit) = c.to_digit(10) {
            digits.push(digit);
        } else if !(matches!(c, ' ' | '-' | '_') && matches!(digits.len(), 3 | 6)) {
            break;
        }
        length += 1;
        if digits.len() == 10 {
            break;
        }
    }
    let ends = !chars.get(length).is_some_and(|c| joins(*c));
    digits.len() == 10 && ends && check_digit_holds(&digits)
}

fn check_digit_holds(digits: &[u32]) -> bool {
    let sum: u32 = digits.iter().take(9).zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    let check = (11 - sum % 11) % 11;
    check != 10 && digits.get(9) == Some(&check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let mut findings = Vec::new();
        check("a.md", text, &mut findings);
        findings.len()
    }

    /// An issued number, made here so that none stands in the source.
    fn issued() -> String {
        let mut digits = vec![4, 0, 1, 0, 2, 3, 2, 1, 3];
        let check = (0..10).find(|last| {
            let mut whole = digits.clone();
            whole.push(*last);
            check_digit_holds(&whole)
        });
        digits.extend(check);
        digits.iter().map(u32::to_string).collect()
    }

    #[test]
    fn an_issued_number_is_found_in_any_spelling() {
        let number = issued();
        assert_eq!(number.len(), 10);
        assert_eq!(found(&number), 1);
        let spaced = format!("({} {} {})", &number[..3], &number[3..6], &number[6..]);
        assert_eq!(found(&spaced), 1);
        assert_eq!(found(&number.replace('4', "9")), 0);
    }

    #[test]
    fn other_digits_pass() {
        let number = issued();
        assert_eq!(found("943 476 5919"), 0);
        assert_eq!(found(&format!("0.{number}")), 0);
        assert_eq!(found(&format!("1{number}")), 0);
        assert_eq!(found(&format!("{number}7")), 0);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let bad = ["see /wo", "rk/notes"].concat();
        assert_eq!(found(&bad), 1);
        assert_eq!(found(&bad.replace(" /", " frame/")), 0);
        assert_eq!(found(&["cd /ro", "ot/x"].concat()), 1);
    }
}
