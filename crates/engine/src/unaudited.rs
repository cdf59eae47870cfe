//! What the log says of calls whose entry the audit did not take: of each kind at most one line a second, the first at once, each
//! with how many there were since the line before. Under overload it may be nearly every call, and a line for each would bury all
//! others. It knows what became of a call and why, and never whose it was or whom it was about. An end without order loses what is
//! not told.

use crate::engine::Engine;
use crate::quota::Quota;
use kith_store::{AuditError, Monotonic};
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines of one kind in a second.
const LINES_PER_SECOND: u32 = 1;

/// What became of what somebody sent and the audit did not take an entry of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unaudited {
    /// It got no answer.
    NoAnswer,
    /// It changed something, which stands.
    Stands,
}

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    what: Unaudited,
    error: AuditError,
    /// Since the line before of its kind.
    count: u64,
}

impl Line {
    fn write(self) {
        let Self { what, error, count } = self;
        match what {
            Unaudited::NoAnswer => tracing::error!(%error, count, "no answer: the audit takes no entry"),
            Unaudited::Stands => tracing::error!(%error, count, "a change stands that the audit did not take"),
        }
    }
}

/// What became of them and why: whatever else the error says does not tell kinds apart.
type Kind = (Unaudited, Discriminant<AuditError>);

/// Those of one kind.
struct Counted {
    /// The last one's.
    error: AuditError,
    lines: Quota,
}

/// Those that the log was told of, and those that it was not told of yet.
pub(crate) struct UnauditedLog {
    clock: Arc<dyn Monotonic>,
    kinds: Mutex<HashMap<Kind, Counted>>,
}

impl UnauditedLog {
    pub(crate) fn new(clock: Arc<dyn Monotonic>) -> Self {
        Self { clock, kinds: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Counted>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more; a line, where one of its kind may be written now.
    fn count(&self, what: Unaudited, error: AuditError) -> Option<Line> {
        let now = self.clock.now();
        let mut kinds = self.lock();
        let new = || Counted { error, lines: Quota::new(LINES_PER_SECOND) };
        let counted = kinds.entry((what, discriminant(&error))).or_insert_with(new);
        counted.error = error;
        let unlogged = counted.lines.take(now)?;
        Some(Line { what, error, count: unlogged.saturating_add(1) })
    }

    /// Lines that tell of those of which none has told yet, of each kind of which one may be written now.
    fn due(&self) -> Vec<Line> {
        let now = self.clock.now();
        self.untold(|lines| lines.rest(now))
    }

    /// Lines that tell of all those of which none has told yet.
    fn left(&self) -> Vec<Line> {
        self.untold(Quota::left)
    }

    fn untold(&self, count: impl Fn(&Quota) -> Option<u64>) -> Vec<Line> {
        let kinds = self.lock();
        let line = |(kind, counted): (&Kind, &Counted)| {
            count(&counted.lines).map(|count| Line { what: kind.0, error: counted.error, count })
        };
        kinds.iter().filter_map(line).collect()
    }

    /// The process ends: tells the log of whatever it was not told of yet.
    pub(crate) fn tell_left(&self) {
        self.left().into_iter().for_each(Line::write);
    }
}

impl Engine {
    /// Tells the log of something that the audit did not take an entry of: at once, or with others of its kind.
    pub fn log_unaudited(&self, what: Unaudited, error: AuditError) {
        if let Some(line) = self.unaudited.count(what, error) {
            line.write();
        }
    }

    /// Tells the log of those that it was not told of yet, where their second is over; gives how many they were. To be called once
    /// a second: where no more come, nothing else tells of them before the end.
    pub fn log_unaudited_rest(&self) -> u64 {
        let due = self.unaudited.due();
        due.iter().for_each(|line| line.write());
        due.iter().map(|line| line.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Unaudited::{NoAnswer, Stands};
    use super::*;
    use crate::EngineOptions;
    use crate::files::tests::place::{NOW, options};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A clock that stands until it is moved.
    #[derive(Default)]
    struct Clock(AtomicU64);

    impl Clock {
        fn advance_ms(&self, milliseconds: u64) {
            self.0.fetch_add(milliseconds, Ordering::Relaxed);
        }
    }

    impl Monotonic for Clock {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn log() -> (Arc<Clock>, UnauditedLog) {
        let clock = Arc::<Clock>::default();
        let log = UnauditedLog::new(clock.clone());
        (clock, log)
    }

    /// What each line of these tells of.
    fn counts(lines: impl IntoIterator<Item = Line>) -> Vec<u64> {
        lines.into_iter().map(|line| line.count).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_many_within_a_second_are_one_line_with_their_count() {
        let (clock, log) = log();
        let told = |times: u32| counts((0..times).filter_map(|_| log.count(NoAnswer, AuditError::TooLate)));
        assert_eq!(told(1), [1]);
        clock.advance_ms(400);
        assert!(told(300).is_empty());
        clock.advance_ms(599);
        assert!(told(200).is_empty());
        clock.advance_ms(1);
        assert_eq!(told(1), [501], "each once");
        assert!(told(7).is_empty(), "its second has its line");
    }

    #[test]
    fn what_no_line_has_told_of_is_told_when_its_second_is_over_and_the_counts_add_up() {
        let (clock, log) = log();
        let told = |times: u32| counts((0..times).filter_map(|_| log.count(NoAnswer, AuditError::TooLate)));
        let mut sum: u64 = told(10).iter().sum();
        clock.advance_ms(999);
        assert_eq!(log.due(), []);
        clock.advance_ms(1);
        let due = log.due();
        assert_eq!(due, [Line { what: NoAnswer, error: AuditError::TooLate, count: 9 }]);
        assert!(told(2).is_empty() && log.due().is_empty(), "that was the line of this second");
        clock.advance_ms(1_000);
        let more = told(1);
        assert!(told(4).is_empty());
        sum += counts(due).iter().chain(&more).chain(&counts(log.left())).sum::<u64>();
        assert_eq!(sum, 17, "none is lost and none is told twice");
        clock.advance_ms(1_000);
        assert!(log.due().is_empty() && log.left().is_empty());
    }

    #[test]
    fn whatever_became_of_them_and_for_whatever_cause_each_kind_has_lines_of_its_own() {
        let (clock, log) = log();
        let kinds = [
            (NoAnswer, AuditError::TooLate),
            (NoAnswer, AuditError::SyncFailed),
            (Stands, AuditError::TooLate),
            (NoAnswer, AuditError::TooLarge { found: 70_000 }),
        ];
        for (more, (what, error)) in (1..).zip(kinds) {
            assert_eq!(log.count(what, error), Some(Line { what, error, count: 1 }));
            assert!((0..more).all(|_| log.count(what, error).is_none()));
        }
        let longer = AuditError::TooLarge { found: 80_000 };
        assert_eq!(log.count(NoAnswer, longer), None, "how long it is makes no other cause");
        clock.advance_ms(1_000);
        let mut due = log.due();
        due.sort_by_key(|line| line.count);
        let told: Vec<_> = due.iter().map(|line| (line.what, line.count)).collect();
        assert_eq!(told, [(NoAnswer, 1), (NoAnswer, 2), (Stands, 3), (NoAnswer, 5)]);
        assert_eq!(due[3].error, longer, "the last one's");
    }

    /// By the clock that the engine was opened with, which stands here: nothing but the end tells of them.
    #[test]
    fn an_engine_that_closes_tells_of_what_is_left() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::<Clock>::default());
        let options = EngineOptions { clock: clock.clone(), ..options(dir.path()) };
        let engine = Engine::open(options, NOW, Arc::new(|what| panic!("the log failed: {what}"))).unwrap();
        for _ in 0..3 {
            engine.log_unaudited(NoAnswer, AuditError::TooLate);
        }
        assert_eq!(engine.log_unaudited_rest(), 0);
        clock.advance_ms(1_000);
        assert_eq!(engine.log_unaudited_rest(), 2, "the first was told at once");
        engine.log_unaudited(NoAnswer, AuditError::TooLate);
        engine.close(NOW);
        assert_eq!(engine.unaudited.left(), []);
    }
}
