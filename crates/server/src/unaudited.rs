//! Sees to it that the log is told of every call whose entry the audit did not take: where no more come, nothing else tells of the
//! last ones. Never knows whose they were.

use std::sync::Arc;
use std::time::Duration;

use kith_engine::Engine;

use crate::engine_slot::{EngineSlot, EngineState};

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Goes on until the runtime ends. By itself, for what else is done once a second may hang with a disk.
pub(crate) async fn run(slot: Arc<EngineSlot<Engine>>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let EngineState::Ready(engine) = slot.state() {
            engine.log_unaudited_rest();
        }
    }
}
