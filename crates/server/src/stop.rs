//! The order to stop, in two steps: drain, then end at once.
//! Never goes back a step.

use std::sync::Arc;

use tokio::sync::watch;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Running,
    Draining,
    Ending,
}

/// Gives the order.
#[derive(Debug, Clone)]
pub struct StopHandle(Arc<watch::Sender<Step>>);

/// Hears the order.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Step>);

/// A handle and the signal it gives.
pub fn channel() -> (StopHandle, StopSignal) {
    let (sender, receiver) = watch::channel(Step::Running);
    (StopHandle(Arc::new(sender)), StopSignal(receiver))
}

impl StopHandle {
    /// No new connections or calls; those in progress may end.
    pub fn drain(&self) {
        self.raise(Step::Draining);
    }

    /// Everything ends now.
    pub fn end_now(&self) {
        self.raise(Step::Ending);
    }

    fn raise(&self, to: Step) {
        self.0.send_if_modified(|step| {
            let raised = to > *step;
            *step = to.max(*step);
            raised
        });
    }
}

impl StopSignal {
    /// Waits until draining has begun.
    pub async fn draining(&self) {
        self.reached(Step::Draining).await;
    }

    /// Waits until everything must end.
    pub async fn ending(&self) {
        self.reached(Step::Ending).await;
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Step::Draining
    }

    /// Whether everything ends now.
    pub fn is_ending(&self) -> bool {
        *self.0.borrow() >= Step::Ending
    }

    /// A handle that is gone can give no order, so that counts as the order.
    async fn reached(&self, step: Step) {
        let mut receiver = self.0.clone();
        let gone = receiver.wait_for(|now| *now >= step).await.is_err();
        tracing::trace!(gone, "stop order heard");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_order_is_heard_by_those_who_ask_later_and_never_taken_back() {
        let (handle, signal) = channel();
        assert!(!signal.is_draining());
        handle.end_now();
        handle.drain();
        signal.draining().await;
        signal.ending().await;
        assert!(signal.is_draining());
    }

    #[tokio::test]
    async fn a_lost_handle_is_an_order() {
        let (handle, signal) = channel();
        drop(handle);
        signal.ending().await;
    }
}
