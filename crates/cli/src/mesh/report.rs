//! What a pass found and did: counts in one line, and what needs a person in lines of their own. Never a content, a name of
//! a file or an identity.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::delivery::Fate;
use crate::exit::Exit;

/// Counts of one pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages in the inbox when it was listed.
    pub inbox: usize,
    /// Messages answered and acknowledged, by the code of their files.
    pub answered: BTreeMap<&'static str, u32>,
    /// Messages answered in an earlier run and acknowledged now.
    pub acknowledged_only: u32,
    /// Reports of MESH read and acknowledged.
    pub reports: u32,
    /// Messages that are not for this adapter, and stay.
    pub set_aside: u32,
    /// Messages that wait for the next pass.
    pub left: u32,
    /// MESH could not be used.
    pub mesh_failed: bool,
    /// MESH does not take the certificate, the password or the shared key.
    pub mesh_refused: bool,
}

impl Counts {
    /// Counts a message that is out of the inbox.
    pub fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Answered(code) => *self.answered.entry(code).or_default() += 1,
            Fate::AcknowledgedOnly => self.acknowledged_only += 1,
        }
    }

    /// Adds what was done for one authority.
    pub fn merge(&mut self, other: &Self) {
        let Self { inbox, answered, acknowledged_only, reports, set_aside, left, mesh_failed, mesh_refused } = other;
        self.inbox += inbox;
        for (code, count) in answered {
            *self.answered.entry(code).or_default() += count;
        }
        self.acknowledged_only += acknowledged_only;
        self.reports += reports;
        self.set_aside += set_aside;
        self.left += left;
        self.mesh_failed |= mesh_failed;
        self.mesh_refused |= mesh_refused;
    }

    /// How a single pass ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self { mesh_refused: true, .. } => Exit::Refused,
            Self { mesh_failed: true, .. } => Exit::CouldNotAsk,
            Self { left: 1.., .. } => Exit::CouldNotAsk,
            Self { set_aside: 1.., .. } => Exit::ChangeRefused,
            Self { .. } => Exit::Done,
        }
    }

    /// For people.
    #[must_use]
    pub fn line(&self, at: Timestamp) -> String {
        let Self { inbox, answered, acknowledged_only, reports, set_aside, left, mesh_failed, mesh_refused } = self;
        let all: u32 = answered.values().sum();
        let codes: Vec<String> = answered.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
        let mesh = match (mesh_refused, mesh_failed) {
            (true, _) => ", MESH REFUSED the mailbox",
            (false, true) => ", MESH FAILED",
            (false, false) => "",
        };
        format!(
            "{at:.0} inbox {inbox}: {all} answered{codes}, {acknowledged_only} acknowledged only, {reports} reports, \
             {set_aside} set aside, {left} left{mesh}"
        )
    }

    /// For programs.
    #[must_use]
    pub fn json(&self, at: Timestamp) -> Json {
        let Self { inbox, answered, acknowledged_only, reports, set_aside, left, mesh_failed, mesh_refused } = self;
        json!({
            "at": format!("{at:.0}"),
            "inbox": inbox,
            "answered": answered,
            "acknowledged_only": acknowledged_only,
            "reports": reports,
            "set_aside": set_aside,
            "left": left,
            "mesh_failed": mesh_failed,
            "mesh_refused": mesh_refused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_every_count_and_the_worst_gives_the_exit_code() {
        let mut counts = Counts { inbox: 7, reports: 1, ..Counts::default() };
        counts.add(Fate::Answered("CPF03"));
        counts.add(Fate::Answered("CPF02"));
        counts.add(Fate::Answered("CPF02"));
        counts.add(Fate::AcknowledgedOnly);
        assert_eq!(counts.exit(), Exit::Done, "a refused file is the sender's matter and is answered");
        counts.merge(&Counts { set_aside: 1, ..Counts::default() });
        assert_eq!(counts.exit(), Exit::ChangeRefused);
        counts.merge(&Counts { left: 1, ..Counts::default() });
        assert_eq!(counts.exit(), Exit::CouldNotAsk);
        let at: Timestamp = "2026-11-25T21:40:00.5Z".parse().unwrap();
        assert_eq!(
            counts.line(at),
            "2026-11-25T21:40:00Z inbox 7: 3 answered (CPF02 2, CPF03 1), 1 acknowledged only, 1 reports, 1 set aside, 1 left"
        );
        counts.mesh_failed = true;
        assert!(counts.line(at).ends_with("MESH FAILED"));
        counts.mesh_refused = true;
        assert!(counts.line(at).ends_with("MESH REFUSED the mailbox"));
        assert_eq!((counts.exit(), counts.json(at)["left"].as_u64()), (Exit::Refused, Some(1)));
    }
}
