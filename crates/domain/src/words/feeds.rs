//! What the feeds say of an answer's completeness, in words: counts over all senders, the age of the oldest in time, and by
//! name those that the child's own record points to. A shielded record has no names to tell.

use crate::answer::{Completeness, NamedFeed};
use crate::codes::{LaCode, OdsCode};
use crate::directory::Directory;
use crate::feed::{FeedCounts, FeedState};

/// Most senders told by name; the answer lists all of them.
const MOST: usize = 5;

/// Senders that an answer may name.
pub(super) trait Named {
    /// Name and state of each.
    fn told(&self, directory: &Directory) -> Vec<(String, FeedState)>;
}

impl Named for Vec<NamedFeed<LaCode>> {
    fn told(&self, directory: &Directory) -> Vec<(String, FeedState)> {
        self.iter().map(|feed| (directory.authority_name(feed.code), feed.state)).collect()
    }
}

impl Named for Vec<NamedFeed<OdsCode>> {
    fn told(&self, directory: &Directory) -> Vec<(String, FeedState)> {
        self.iter().map(|feed| (directory.organisation_name(feed.code), feed.state)).collect()
    }
}

/// Naming one would tell a place.
impl Named for () {
    fn told(&self, _: &Directory) -> Vec<(String, FeedState)> {
        Vec::new()
    }
}

/// What an answer does not know of its senders.
pub(super) fn known<N: Named>(completeness: &Completeness<N>, directory: &Directory) -> String {
    let named = completeness.named.told(directory);
    let mut told: Vec<String> =
        named.iter().take(MOST).map(|(name, state)| format!("{name} {}", one(*state))).collect();
    if named.len() > MOST {
        told.push(format!("and {} more", named.len() - MOST));
    }
    let counts = counts(&completeness.counts);
    if told.is_empty() { counts } else { format!("{counts} On this record: {}.", told.join("; ")) }
}

fn one(state: FeedState) -> &'static str {
    match state {
        FeedState::Fresh => "heard of in time",
        FeedState::Stale => "not heard of in time",
        FeedState::Absent => "never heard of",
        FeedState::Thin => "far below its usual volume",
    }
}

fn counts(counts: &FeedCounts) -> String {
    let (all, age) = (counts.feeds(), counts.oldest_fresh_seconds);
    if all == 0 {
        return "No sender is known to this service.".to_owned();
    }
    if counts.doubtful() == 0 {
        let age = age.map(|seconds| format!(", the oldest {} min ago", seconds / 60)).unwrap_or_default();
        return format!("All {all} senders heard of in time{age}.");
    }
    let thin = match counts.thin {
        0 => String::new(),
        1 => ", 1 far below its usual volume".to_owned(),
        many => format!(", {many} far below their usual volume"),
    };
    let age = age.map(|seconds| format!("; the oldest of the others {} min ago", seconds / 60)).unwrap_or_default();
    format!("Of {all} senders {} not heard of in time, {} never heard of{thin}{age}.", counts.stale, counts.absent)
}
