//! The report of a push: how many rows were taken, and which were not and why. It never counts a row as taken that the
//! service has not acknowledged.

use serde_json::{Value as Json, json};

use super::Refused;
use crate::exit::Exit;
use crate::failure::{Failure, masked};
use crate::render::plain;

/// Refusals printed as text; the rest is counted.
const REFUSALS_SHOWN: usize = 50;
/// Refusals kept for JSON; the rest is counted.
const REFUSALS_KEPT: usize = 1000;

/// What became of a file.
#[derive(Debug, Default)]
pub struct Report {
    /// Rows of the file.
    pub rows: u64,
    /// Rows acknowledged: on disk and visible, repeats included.
    pub acknowledged: u64,
    /// Of those, acknowledged before.
    pub repeated: u64,
    /// Rows refused.
    pub refused: u64,
    refusals: Vec<Refused>,
    /// The sign that the feed is alive: sent and taken, or none when there is no such sign.
    pub heartbeat: Option<bool>,
    /// Why it broke off, if it did.
    pub broken: Option<Failure>,
}

impl Report {
    /// A report on a file of so many rows, of which some cannot be sent.
    pub fn new(rows: usize, refused: Vec<Refused>) -> Self {
        let mut report = Self { rows: u64::try_from(rows).unwrap_or(u64::MAX), ..Self::default() };
        refused.into_iter().for_each(|refusal| report.refuse(refusal));
        report
    }

    /// Counts a refused row.
    pub fn refuse(&mut self, refusal: Refused) {
        self.refused += 1;
        self.keep(refusal);
    }

    /// Counts refused rows of which only some are described.
    pub fn refuse_counted(&mut self, count: u64, described: impl IntoIterator<Item = Refused>) {
        self.refused += count;
        described.into_iter().for_each(|refusal| self.keep(refusal));
    }

    fn keep(&mut self, refusal: Refused) {
        if self.refusals.len() < REFUSALS_KEPT {
            self.refusals.push(refusal);
        }
    }

    /// Rows of which nothing is known.
    fn unanswered(&self) -> u64 {
        self.rows.saturating_sub(self.acknowledged).saturating_sub(self.refused)
    }

    /// The exit code. What is refused behind rows that stand is told as a change that was refused: the others say that nothing was done.
    pub fn exit(&self) -> Exit {
        match &self.broken {
            Some(Failure { exit: Exit::Refused | Exit::BadInput, .. }) if self.acknowledged > 0 => Exit::ChangeRefused,
            Some(failure) => failure.exit,
            None if self.refused > 0 => Exit::ChangeRefused,
            None if self.unanswered() > 0 => Exit::CouldNotAsk,
            None => Exit::Done,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { rows, acknowledged, repeated, refused, refusals, heartbeat, broken } = self;
        let mut lines = vec![format!("{rows} rows: {acknowledged} acknowledged, {refused} refused")];
        if *repeated > 0 {
            lines.push(format!("  {repeated} of the acknowledged had been sent before"));
        }
        let mut sorted: Vec<&Refused> = refusals.iter().collect();
        sorted.sort_by_key(|refusal| refusal.line);
        lines.extend(sorted.iter().take(REFUSALS_SHOWN).map(|refusal| refusal_line(refusal)));
        let shown = u64::try_from(sorted.len().min(REFUSALS_SHOWN)).unwrap_or(u64::MAX);
        if *refused > shown {
            lines.push(format!("  and {} more refused rows, not listed here", refused - shown));
        }
        if *heartbeat == Some(true) && *rows == 0 {
            lines.push("  nothing to send, and the service was told so: the feed is marked as alive".to_owned());
        }
        if *heartbeat == Some(false) {
            lines.push("  the feed was not marked as alive".to_owned());
        }
        if let Some(failure) = broken {
            lines.push(format!("BROKEN OFF: {}", plain(&failure.line())));
            lines.push(format!(
                "  {acknowledged} rows were acknowledged and are kept; {} have no answer. The file can be sent again.",
                self.unanswered()
            ));
        }
        lines.join("\n") + "\n"
    }

    /// For a program.
    pub fn json(&self) -> Json {
        let refusals: Vec<Json> = self.refusals.iter().map(refusal_json).collect();
        let mut report = json!({
            "rows": self.rows,
            "acknowledged": self.acknowledged,
            "repeated": self.repeated,
            "refused": self.refused,
            "refusals": refusals,
            "unanswered": self.unanswered(),
            "heartbeat": self.heartbeat,
            "error": Json::Null,
            "exit_code": self.exit().code(),
        });
        if let Some(failure) = &self.broken {
            report["error"] = failure.json()["error"].take();
        }
        report
    }
}

fn refusal_line(refusal: &Refused) -> String {
    let Refused { line, field, reason, words, retry } = refusal;
    let field = if field.is_empty() { String::new() } else { format!(", {field}") };
    let retry = if *retry { "; send it again later" } else { "" };
    plain(&masked(&format!("  line {line}{field}: {words} ({reason}){retry}")))
}

fn refusal_json(refusal: &Refused) -> Json {
    let Refused { line, field, reason, words, retry } = refusal;
    json!({"line": line, "field": field, "reason": reason, "words": masked(words), "retry": retry})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: u64) -> Refused {
        Refused::here(line, "start", "DATE", "no such date in the calendar")
    }

    #[test]
    fn exit_codes() {
        let mut report = Report::new(2, Vec::new());
        assert_eq!(report.exit(), Exit::CouldNotAsk, "rows without an answer");
        report.acknowledged = 2;
        assert_eq!(report.exit(), Exit::Done);
        assert_eq!(Report::new(1, vec![refusal(2)]).exit(), Exit::ChangeRefused);
        report.broken = Some(Failure::could_not_ask("gone"));
        assert_eq!(report.exit(), Exit::CouldNotAsk);
        for refused in [Exit::Refused, Exit::BadInput] {
            report.broken = Some(Failure { exit: refused, ..Failure::could_not_ask("not allowed") });
            report.acknowledged = 1;
            assert_eq!(report.exit(), Exit::ChangeRefused, "behind a row that stands");
            report.acknowledged = 0;
            assert_eq!(report.exit(), refused);
        }
        assert_eq!(Report::new(0, Vec::new()).exit(), Exit::Done);
    }

    #[test]
    fn refusals_are_listed_by_line_and_bounded() {
        let mut report = Report::new(2000, (0..1200).rev().map(refusal).collect());
        report.acknowledged = 800;
        let text = report.text();
        assert!(text.starts_with("2000 rows: 800 acknowledged, 1200 refused\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("  line ")).count(), 50);
        assert!(text.contains("and 1150 more refused rows"), "{text}");
        assert_eq!(report.json()["refusals"].as_array().unwrap().len(), 1000);
    }

    #[test]
    fn a_file_without_rows_says_whether_the_service_was_told() {
        let mut report = Report::new(0, Vec::new());
        report.heartbeat = Some(true);
        assert!(report.text().contains("nothing to send, and the service was told so"), "{}", report.text());
        report.heartbeat = Some(false);
        assert!(report.text().contains("not marked as alive"), "{}", report.text());
    }

    #[test]
    fn a_break_says_what_is_kept() {
        let mut report = Report::new(10, Vec::new());
        report.acknowledged = 4;
        report.broken = Some(Failure::could_not_ask("connection lost"));
        let text = report.text();
        assert!(text.contains("4 rows were acknowledged and are kept; 6 have no answer"), "{text}");
        assert_eq!(report.json()["error"]["kind"], "could-not-ask");
        assert_eq!(report.json()["exit_code"], 20);
    }
}
