//! HdrHistogram's percentile format, which its own plotters read.

use std::fmt::Write as _;

use crate::outcome::Latency;

/// Latencies in milliseconds.
#[must_use]
pub fn hgrm(latency: &Latency) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut text, latency);
    text
}

fn write(out: &mut String, latency: &Latency) -> std::fmt::Result {
    let ms = |ns: f64| ns / 1e6;
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for (share, ns) in &latency.curve {
        let count = (share * latency.count as f64).round() as u64;
        write!(out, "{:>12.6} {share:>14.12} {count:>10}", ms(*ns as f64))?;
        if *share < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - share))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "#[Mean    = {:>12.6}, StdDeviation   = {:>12.6}]", ms(latency.mean), ms(latency.deviation))?;
    writeln!(out, "#[Max     = {:>12.6}, Total count    = {:>12}]", ms(latency.max as f64), latency.count)?;
    writeln!(out, "#[Buckets = {BUCKETS:>12}, SubBuckets     = {SUB_BUCKETS:>12}]")
}

/// Shape of a histogram of nanoseconds up to ten minutes, exact to a thousandth.
const BUCKETS: u32 = 30;
const SUB_BUCKETS: u32 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_that_of_hdrhistogram() {
        let latency = Latency {
            count: 1_000,
            mean: 1_500_000.0,
            deviation: 250_000.0,
            max: 4_000_000,
            curve: vec![(0.5, 1_000_000), (0.99, 2_000_000), (1.0, 4_000_000)],
            ..Latency::default()
        };
        let expected = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n    \
            1.000000 0.500000000000        500           2.00\n    2.000000 0.990000000000        990         100.00\n    \
            4.000000 1.000000000000       1000\n\
            #[Mean    =     1.500000, StdDeviation   =     0.250000]\n\
            #[Max     =     4.000000, Total count    =         1000]\n\
            #[Buckets =           30, SubBuckets     =         2048]\n";
        assert_eq!(hgrm(&latency), expected);
    }
}
