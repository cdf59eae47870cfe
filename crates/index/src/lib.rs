//! Answers a question from memory. It never waits for a disk or for a change in progress, never touches disk, and holds
//! one entry per person, bounded by what the log holds.

mod counts;
mod families;
mod interned;
mod packed;
mod planned;
mod records;
mod shard;
pub mod shards;
mod template;

pub use counts::Sizes;
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
use kith_domain::time::{Day, Moment};
use records::{Published, Records};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often an answer is made anew because what it was made from has changed meanwhile. A change is synced to disk before
/// it is published, so one person's records do not change twice within an answer.
const TRIES: usize = 4;

/// Authorities that are responsible at the moment of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Responsible {
    /// Those of the person asked about.
    pub of_person: Vec<LaCode>,
    /// Those of unborn plans on the record of the mother whose number was given.
    pub of_unborn: Vec<LaCode>,
}

impl Responsible {
    fn at(found: &Found, today: Day) -> Self {
        let of_unborn = |mother| family::responsible_for_unborn(mother, today);
        Self {
            of_person: notify::responsible_for(&found.person, today),
            of_unborn: found.mother.as_ref().map(of_unborn).unwrap_or_default(),
        }
    }
}

/// Every record, by subject, and the health of every feed.
#[derive(Debug)]
pub struct Index {
    records: Records,
    /// Records published so far: counted after each and before the feed that it came from is.
    published: AtomicU64,
    feeds: FeedBoard,
    sizes: counts::Counters,
    planned: planned::Planned,
    families: families::Families,
    template: template::Template,
}

impl Index {
    /// An empty index over the known feeds.
    #[must_use]
    pub fn new(feeds: FeedBoard) -> Self {
        let records = Records::default();
        Self {
            template: template::Template::new(&records.tables),
            records,
            published: AtomicU64::new(0),
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
        self.answer_after(permit, question, (settings, directory), || {})
    }

    /// Takes about as long as an answer about a child of whom something is held takes longer than `answer`, where that tells
    /// nothing held: who waits for the answer must not tell one from the other. Gives nothing back.
    pub fn even_out(
        &self,
        answer: &Answer,
        permit: &ReadPermit,
        question: &Question,
        (settings, directory): (&AnswerSettings, &Directory),
    ) {
        if template::is_nothing_held(answer) {
            let means = Means { settings, directory, feeds: &self.feeds };
            self.template.work(permit, question, &self.records.tables, means);
        }
    }

    /// Answers, with `found` called between finding the records and looking at the feeds.
    ///
    /// A feed that was stale and comes back with a plan is published after the plan. An answer from the record before and
    /// the feed after would say "none held", which was never so: before it was "cannot say", after it is held. So the
    /// records must be the same when the feeds have been looked at. Most often nothing was published at all.
    fn answer_after(
        &self,
        permit: &ReadPermit,
        question: &Question,
        (settings, directory): (&AnswerSettings, &Directory),
        found: impl Fn(),
    ) -> (Answer, Responsible) {
        let make = |records: &Found, feeds: &FeedBoard| {
            let answer = answering::answer(permit, question, records, Means { settings, directory, feeds });
            (answer, Responsible::at(records, question.now.london_day()))
        };
        for _ in 0..TRIES {
            let before = self.published.load(Ordering::Acquire);
            let (records, publications) = self.found(question);
            found();
            let answer = make(&records, &self.feeds);
            if self.published.load(Ordering::Acquire) == before || self.found(question).1 == publications {
                return answer;
            }
        }
        // Without a feed that is known, nothing reads as none held.
        make(&self.found(question).0, &FeedBoard::new(std::iter::empty(), std::iter::empty()))
    }

    /// The records that an answer is made from, and which publication of each was read, in the order in which the mother's
    /// and the person's were looked for. Where it is the same again, so are they: which number is looked for next follows
    /// from the records before it. What relatives hold is added to an answer and decides no outcome.
    fn found(&self, question: &Question) -> (Found, Vec<Option<Published>>) {
        let publications = RefCell::new(Vec::with_capacity(2));
        let read = |subject: &Subject| {
            let (record, published) = self.records.read(subject).unzip();
            publications.borrow_mut().push(published);
            record.map(Arc::new)
        };
        // The mother first: when a birth moves a plan from her record to the baby's, the baby's is published first.
        let mother = question.mother.map(|number| Person::find(read(&Subject::Nhs(number)), read));
        let person = Person::find(read(&question.subject), read);
        let members = |family: &Family, most| self.families.members(family, most);
        let relatives = Relatives::find(&person, members, |subject| self.for_writer(subject));
        (Found { person, relatives, mother }, publications.into_inner())
    }

    /// The records of a person, under every number that is linked with `subject`. For the writer, not for answers.
    #[must_use]
    pub fn person(&self, subject: &Subject) -> Person {
        Person::find(self.for_writer(subject), |other| self.for_writer(other))
    }

    /// The record that a change is applied to. For the writer, not for answers.
    #[must_use]
    pub fn for_writer(&self, subject: &Subject) -> Option<Arc<ChildRecord>> {
        self.records.read(subject).map(|(record, _)| Arc::new(record))
    }

    /// Makes room for so many people, where their number is known before they are published.
    pub fn reserve(&self, people: u64) {
        self.records.reserve(people);
    }

    /// Publishes a record: readers see it from now on.
    pub fn publish(&self, record: ChildRecord) {
        self.sizes.add(&record);
        let old = self.records.put(&record);
        self.published.fetch_add(1, Ordering::Release);
        self.planned.note(old.as_ref(), &record);
        self.families.note(old.as_ref(), &record);
        if let Some(old) = old {
            self.sizes.remove(&old);
        }
    }

    /// Removes the record of a person about whom nothing is held any more.
    pub fn remove(&self, subject: &Subject) {
        if let Some(old) = self.records.take(subject) {
            self.published.fetch_add(1, Ordering::Release);
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

#[cfg(test)]
mod tests;
