//! Reports of an outcome: a table for the terminal, and files.

mod chart;
mod compare;
mod hgrm;
mod html;
mod html_more;
mod table;

pub use compare::compare;
pub use hgrm::hgrm;
pub use html::html;
pub use table::table;

/// Nanoseconds as people read them.
#[must_use]
pub fn time(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0 => "-".to_owned(),
        1..=999 => format!("{ns} ns"),
        1_000..=99_999 => format!("{:.1} us", value / 1e3),
        100_000..=999_999 => format!("{:.0} us", value / 1e3),
        1_000_000..=99_999_999 => format!("{:.2} ms", value / 1e6),
        100_000_000..=999_999_999 => format!("{:.0} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

/// A count with its thousands apart.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_are_readable() {
        let told = [0, 999, 1_500, 150_000, 2_345_678, 150_000_000, 3_000_000_000].map(time);
        assert_eq!(told, ["-", "999 ns", "1.5 us", "150 us", "2.35 ms", "150 ms", "3.00 s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
