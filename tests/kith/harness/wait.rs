//! Waiting with a limit, by asking again. Never sleeps for a guessed time.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: generous, because two cores may be shared by many tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < limit, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Asks until there is an answer, without holding up other tasks.
pub async fn until_async<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < limit, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
