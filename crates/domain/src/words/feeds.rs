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
    let counts = counts(&completeness.counts);
    let named = completeness.named.told(directory);
    if named.is_empty() {
        return counts;
    }
    let mut told: Vec<String> =
        named.iter().take(MOST).map(|(name, state)| [name, " ", one(*state)].concat()).collect();
    if named.len() > MOST {
        told.push(format!("and {} more", named.len() - MOST));
    }
    [&counts, " On this record: ", &told.join("; "), "."].concat()
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
    let minutes = counts.oldest_fresh_seconds.map(|seconds| (seconds / 60).to_string());
    let all = counts.feeds();
    if all == 0 {
        return "No sender is known to this service.".to_owned();
    }
    if counts.doubtful() == 0 {
        let all = all.to_string();
        return match minutes {
            Some(age) => ["All ", &all, " senders heard of in time, the oldest ", &age, " min ago."].concat(),
            None => ["All ", &all, " senders heard of in time."].concat(),
        };
    }
    let [all, stale, absent] = [all, counts.stale, counts.absent].map(|n| n.to_string());
    let mut told = ["Of ", &all, " senders ", &stale, " not heard of in time, ", &absent, " never heard of"].concat();
    match counts.thin {
        0 => {}
        1 => told.push_str(", 1 far below its usual volume"),
        many => told.push_str(&[", ", &many.to_string(), " far below their usual volume"].concat()),
    }
    if let Some(age) = minutes {
        told.push_str(&["; the oldest of the others ", &age, " min ago"].concat());
    }
    told.push('.');
    told
}
