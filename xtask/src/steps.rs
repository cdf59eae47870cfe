//! Named, timed steps, and one table at the end that tells every failure.
//! A skipped step is never counted as one that passed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How a step ended when it did not fail.
pub enum Ended {
    Passed,
    Skipped(String),
}

enum Verdict {
    Passed,
    Skipped(String),
    Failed(String),
}

/// What has run so far.
pub struct Steps {
    started: Instant,
    ran: Vec<(String, Duration, Verdict)>,
}

impl Steps {
    pub fn new() -> Self {
        Self { started: Instant::now(), ran: Vec::new() }
    }

    /// Runs a step; a failure is kept and the next step can still run.
    /// Says whether the step did not fail.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Ended>) -> bool {
        println!("\n==> {name}");
        let started = Instant::now();
        let verdict = match step() {
            Ok(Ended::Passed) => Verdict::Passed,
            Ok(Ended::Skipped(why)) => Verdict::Skipped(why),
            Err(error) => {
                let told = format!("{error:#}");
                println!("{told}");
                Verdict::Failed(told.lines().next().unwrap_or_default().to_owned())
            }
        };
        let took = started.elapsed();
        let word = match &verdict {
            Verdict::Passed => "passed",
            Verdict::Skipped(_) => "SKIPPED",
            Verdict::Failed(_) => "FAILED",
        };
        println!("<== {name}: {word} in {}", seconds(took));
        let good = !matches!(verdict, Verdict::Failed(_));
        self.ran.push((name.to_owned(), took, verdict));
        good
    }

    /// Prints the table; an error when any step failed.
    pub fn finish(self) -> Result<()> {
        let mut failed = 0;
        println!("\n{:<44} {:>9}", "step", "time");
        for (name, took, verdict) in &self.ran {
            let shown = seconds(*took);
            match verdict {
                Verdict::Passed => println!("{name:<44} {shown:>9}  passed"),
                Verdict::Skipped(why) => println!("{name:<44} {shown:>9}  SKIPPED: {why}"),
                Verdict::Failed(why) => {
                    failed += 1;
                    println!("{name:<44} {shown:>9}  FAILED: {why}");
                }
            }
        }
        println!("{:<44} {:>9}", "all", seconds(self.started.elapsed()));
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.ran.len());
        }
        Ok(())
    }
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole >= 60 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_at_the_end_and_does_not_stop_the_next_step() {
        let mut steps = Steps::new();
        assert!(!steps.run("one", || bail!("broken")));
        assert!(steps.run("two", || Ok(Ended::Passed)));
        assert!(steps.finish().is_err());
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        let mut steps = Steps::new();
        assert!(steps.run("one", || Ok(Ended::Skipped("no disk".into()))));
        assert!(steps.finish().is_ok());
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(61)), "1 min 01 s");
    }
}
