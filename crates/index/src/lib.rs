//! Answers a question from memory. It never waits for a disk or for a change in progress, never touches disk, and holds
//! one entry per person, bounded by what the log holds.

mod counts;
mod families;
mod planned;

pub use counts::Sizes;
use dashmap::DashMap;
use kith_domain::answer::{Answer, Question};
use kith_domain::answering::{self, Found, Means};
use kith_domain::change::Feed;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::directory::Directory;
use kith_domain::family::{self, Family, Relatives};
use kith_domain::feed::FeedBoard;
use kith_domain::feed_health::FeedRecord;
use kith_domain::links::Person;
use kith_domain::notify;
use kith_domain::permit::ReadPermit;
use kith_domain::settings::AnswerSettings;
use kith_domain::time::Moment;
use std::sync::Arc;

/// Authorities that are responsible at the moment of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Responsible {
    /// Those of the person asked about.
    pub of_person: Vec<LaCode>,
    /// Those of unborn plans on the record of the mother whose number was given.
    pub of_unborn: Vec<LaCode>,
}

/// Every record, by subject, and the health of every feed.
#[derive(Debug)]
pub struct Index {
    children: DashMap<Subject, Arc<ChildRecord>>,
    feeds: FeedBoard,
    sizes: counts::Counters,
    planned: planned::Planned,
    families: families::Families,
}

impl Index {
    /// An empty index over the known feeds.
    #[must_use]
    pub fn new(feeds: FeedBoard) -> Self {
        Self {
            children: DashMap::new(),
            feeds,
            sizes: counts::Counters::default(),
            planned: planned::Planned::default(),
            families: families::Families::default(),
        }
    }

    /// Answers a question, and names the authorities that are responsible at that moment, for the audit and not for the
    /// asker. Only the holder of a permit can ask:
    ///
    /// ```compile_fail
    /// fn peek(index: &kith_index::Index, question: &kith_domain::answer::Question) {
    ///     let settings = Default::default();
    ///     let directory = Default::default();
    ///     index.answer(question, &settings, &directory);
    /// }
    /// ```
    #[must_use]
    pub fn answer(
        &self,
        permit: &ReadPermit,
        question: &Question,
        settings: &AnswerSettings,
        directory: &Directory,
    ) -> (Answer, Responsible) {
        let found = self.found(question);
        let means = Means { settings, directory, feeds: &self.feeds };
        let today = question.now.london_day();
        let responsible = Responsible {
            of_person: notify::responsible_for(&found.person, today),
            of_unborn: found
                .mother
                .as_ref()
                .map(|mother| family::responsible_for_unborn(mother, today))
                .unwrap_or_default(),
        };
        (answering::answer(permit, question, &found, means), responsible)
    }

    fn found(&self, question: &Question) -> Found {
        // The mother first: when a birth moves a plan from her record to the baby's, the baby's is published first.
        let mother = question.mother.map(|number| self.person(&Subject::Nhs(number)));
        let person = self.person(&question.subject);
        let members = |family: &Family, most| self.families.members(family, most);
        let relatives = Relatives::find(&person, members, |subject| self.for_writer(subject));
        Found { person, relatives, mother }
    }

    /// The records of a person, under every number that is linked with `subject`. For the writer, not for answers.
    #[must_use]
    pub fn person(&self, subject: &Subject) -> Person {
        Person::find(self.for_writer(subject), |other| self.for_writer(other))
    }

    /// The record that a change is applied to. For the writer, not for answers.
    #[must_use]
    pub fn for_writer(&self, subject: &Subject) -> Option<Arc<ChildRecord>> {
        self.children.get(subject).map(|entry| Arc::clone(entry.value()))
    }

    /// Publishes a record: readers see it from now on.
    pub fn publish(&self, mut record: ChildRecord) {
        record.shrink();
        let subject = record.subject.clone();
        self.sizes.add(&record);
        let record = Arc::new(record);
        let old = self.children.insert(subject, Arc::clone(&record));
        self.planned.note(old.as_deref(), &record);
        self.families.note(old.as_deref(), &record);
        if let Some(old) = old {
            self.sizes.remove(&old);
        }
    }

    /// Removes the record of a person about whom nothing is held any more.
    pub fn remove(&self, subject: &Subject) {
        if let Some((_, old)) = self.children.remove(subject) {
            self.planned.forget(&old);
            self.families.forget(&old);
            self.sizes.remove(&old);
        }
    }

    /// Everyone who has or had a plan of an authority, in order. For reconciling its files, not for answers.
    #[must_use]
    pub fn planned_by(&self, authority: LaCode) -> Vec<Subject> {
        self.planned.of(authority)
    }

    /// Publishes what is kept of a feed, as of `now`.
    pub fn feed(&self, feed: Feed, record: FeedRecord, now: Moment) {
        self.feeds.publish(feed, record, now);
    }

    /// Health of every feed.
    #[must_use]
    pub fn feeds(&self) -> &FeedBoard {
        &self.feeds
    }

    /// How much is held.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes.read()
    }
}
