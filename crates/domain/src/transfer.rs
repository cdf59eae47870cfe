//! When a plan's authority has told that it moves: what tells the plan of this transfer at the other authority from one of
//! an earlier transfer that came to nothing. Folded from versioned events, so that any order of arrival gives the same.

use crate::change::{PlanAction, PlanEvent};
use crate::codes::LaCode;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// One transfer out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Out {
    version: u64,
    to: LaCode,
    told_on: Day,
}

/// Transfers out of a plan since the child last stayed or arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Transfers {
    /// Version of the last start or arrival: transfers out before it came to nothing.
    stayed: u64,
    /// In order of version.
    outs: Vec<Out>,
}

impl Transfers {
    /// Notes an event of the plan, taken at `at`.
    pub fn note(&mut self, event: &PlanEvent, at: Moment) {
        match event.action {
            PlanAction::Start | PlanAction::TransferIn(_) => {
                self.stayed = self.stayed.max(event.version);
                self.outs.retain(|out| out.version > self.stayed);
            }
            PlanAction::TransferOut(to) if event.version > self.stayed => {
                if let Err(place) = self.outs.binary_search_by_key(&event.version, |out| out.version) {
                    self.outs.insert(place, Out { version: event.version, to, told_on: at.london_day() });
                }
            }
            PlanAction::TransferOut(_)
            | PlanAction::Change
            | PlanAction::End
            | PlanAction::Born
            | PlanAction::Withdraw => {}
        }
    }

    /// The first day on which it was told that the plan moves to `to`, since it last stayed or moved elsewhere.
    #[must_use]
    pub fn told_on(&self, to: LaCode) -> Option<Day> {
        self.outs.iter().rev().take_while(|out| out.to == to).map(|out| out.told_on).min()
    }

    /// What is held: the version of the last start or arrival, and every transfer out by its version, the authority that
    /// the plan moves to, and the day it was told. [`Self::held`] takes it back.
    #[must_use]
    pub fn parts(&self) -> (u64, impl ExactSizeIterator<Item = (u64, LaCode, Day)>) {
        (self.stayed, self.outs.iter().map(|Out { version, to, told_on }| (*version, *to, *told_on)))
    }

    /// Transfers as they were held before.
    #[must_use]
    pub fn held(stayed: u64, outs: impl IntoIterator<Item = (u64, LaCode, Day)>) -> Self {
        let out = |(version, to, told_on)| Out { version, to, told_on };
        Self { stayed, outs: outs.into_iter().map(out).collect() }
    }
}
