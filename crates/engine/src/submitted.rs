//! Changes that were handed to the writer and have their place in the order of all. Whoever hands over more before these are on disk
//! has all of them made in the order in which they were handed over.
//! Never says what became of a change before it is on disk and visible, or refused.

use crate::writer::Verdict;
use kith_domain::refused::Refused;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Awaited for the verdicts, one for each change, in order. Awaited by reference and given up before that it loses nothing. Once it has
/// given them it is not awaited again.
#[derive(Debug)]
#[must_use = "the changes are made all the same, and nobody hears what became of them"]
pub struct Submitted(Fate);

#[derive(Debug)]
enum Fate {
    /// Nothing was handed over: this is known already.
    Known(Vec<Verdict>),
    /// So many are with the writer.
    Queued(usize, oneshot::Receiver<Vec<Verdict>>),
}

impl Submitted {
    /// Nothing was handed over.
    pub(crate) fn known(verdicts: Vec<Verdict>) -> Self {
        Self(Fate::Known(verdicts))
    }

    /// So many are with the writer, which answers here.
    pub(crate) fn queued(count: usize, verdicts: oneshot::Receiver<Vec<Verdict>>) -> Self {
        Self(Fate::Queued(count, verdicts))
    }
}

impl Future for Submitted {
    type Output = Vec<Verdict>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Fate::Known(verdicts) => Poll::Ready(std::mem::take(verdicts)),
            Fate::Queued(count, verdicts) => {
                let answer = Pin::new(verdicts).poll(context);
                // A writer that ended without an answer may have made them: sending them again tells.
                answer.map(|answer| answer.unwrap_or_else(|_| vec![Err(Refused::STORAGE); *count]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::place::{NOW, Place, event, permit};
    use kith_domain::change::Change;

    fn change(n: u32) -> Vec<Change> {
        vec![Change::Plan(event(1, n, 1))]
    }

    #[tokio::test]
    async fn what_is_handed_over_before_anything_is_answered_is_made_in_that_order() {
        let place = Place::new();
        let mut handed = Vec::new();
        for n in 1..=40 {
            handed.push(place.engine.hand_over(&permit(1), NOW, change(n)).await);
        }
        let mut sequences = Vec::new();
        for submitted in handed {
            sequences.push(submitted.await[0].expect("taken").sequence);
        }
        assert!(sequences.windows(2).all(|two| two[0] < two[1]), "{sequences:?}");
    }

    #[tokio::test]
    async fn what_is_given_up_while_it_is_awaited_is_not_lost() {
        let place = Place::new();
        let mut submitted = place.engine.hand_over(&permit(1), NOW, change(1)).await;
        // Polled once, and perhaps ready by then.
        let early = tokio::time::timeout(std::time::Duration::ZERO, &mut submitted).await;
        let verdicts = match early {
            Ok(verdicts) => verdicts,
            Err(_) => submitted.await,
        };
        assert!(verdicts.len() == 1 && verdicts[0].is_ok(), "{verdicts:?}");
    }

    #[tokio::test]
    async fn what_is_not_handed_over_is_known_at_once_and_nothing_is_nothing() {
        let place = Place::new();
        assert!(place.engine.hand_over(&permit(1), NOW, Vec::new()).await.await.is_empty());
        place.engine.journal().close().unwrap();
        let refused = place.engine.hand_over(&permit(1), NOW, [change(1), change(2)].concat()).await.await;
        assert_eq!(refused, vec![Err(Refused::NOT_AUDITED); 2]);
    }

    #[tokio::test]
    async fn a_writer_that_ends_without_an_answer_leaves_each_as_not_known() {
        let (reply, verdicts) = oneshot::channel();
        drop::<oneshot::Sender<Vec<Verdict>>>(reply);
        assert_eq!(Submitted::queued(2, verdicts).await, vec![Err(Refused::STORAGE); 2]);
    }
}
