//! What wakes whoever tells the audit, each by itself: the second that has passed, the order to stop, a change of which no entry
//! tells. The clock stands and moves only while nothing else can.

use std::ops::Range;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::services::testing::Place;
use crate::stop::{self, StopHandle};

/// Longer than anything here waits for.
const LONG: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

fn standing_clock() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// One that runs beside the test.
struct Running {
    edge: Edge,
    slot: Arc<EngineSlot<Engine>>,
    stop: StopHandle,
}

impl Running {
    fn start() -> Self {
        let (edge, slot, (stop, signal)) = (Edge::default(), Arc::new(EngineSlot::default()), stop::channel());
        tokio::spawn(edge.clone().run(Arc::clone(&slot), signal));
        Self { edge, slot, stop }
    }

    fn on(place: &Place) -> Self {
        let running = Self::start();
        running.slot.fill(Ok(Arc::clone(&place.engine)));
        running
    }

    fn refuse(&self) {
        self.edge.refused(&peer("R1H"), Some(Method::Lookup), "MALFORMED_MESSAGE", Moment(1));
    }

    /// How long it takes until what was refused now is handed on.
    async fn handed_on_after(&self) -> Duration {
        self.refuse();
        let began = Instant::now();
        let handed = async {
            while !self.edge.counted().is_empty() {
                sleep(MOMENT).await;
            }
        };
        timeout(LONG, handed).await.expect("it is handed on");
        began.elapsed()
    }
}

/// Waits until the audit has so many entries on disk: by the disk's own time.
async fn audited(place: &Place, entries: u64) {
    let began = std::time::Instant::now();
    while place.engine.positions().synced_through < entries {
        assert!(began.elapsed() < LONG, "{:?}", place.engine.positions());
        tokio::task::yield_now().await;
    }
}

/// What is handed on while this much time passes, with the moments between two looks.
fn within(range: Range<Duration>, took: Duration) -> bool {
    range.start <= took && took < range.end + MOMENT * 5
}

#[test]
fn each_second_what_was_counted_is_told() {
    let place = Place::new();
    standing_clock().block_on(async {
        let had = place.engine.positions().synced_through;
        let running = Running::on(&place);
        let first = running.handed_on_after().await;
        assert!(within(INTERVAL..INTERVAL + SHORT_INTERVAL, first), "{first:?}");
        audited(&place, had + 1).await;
        let second = running.handed_on_after().await;
        assert!(within(Duration::ZERO..INTERVAL, second), "{second:?}");
        audited(&place, had + 2).await;
    });
}

#[test]
fn the_order_to_stop_is_heard_at_once_and_from_then_on_nothing_waits_a_second() {
    let place = Place::new();
    standing_clock().block_on(async {
        let had = place.engine.positions().synced_through;
        let running = Running::on(&place);
        sleep(MOMENT * 10).await;
        running.stop.drain();
        let at_once = running.handed_on_after().await;
        assert!(within(Duration::ZERO..SHORT_INTERVAL, at_once), "{at_once:?}");
        for counted in 2..5 {
            let later = running.handed_on_after().await;
            assert!(within(Duration::ZERO..SHORT_INTERVAL, later), "{later:?}");
            audited(&place, had + counted).await;
        }
    });
}

#[test]
fn a_change_of_which_no_entry_tells_wakes_it_and_what_is_counted_stays_counted() {
    let place = Place::new();
    standing_clock().block_on(async {
        let running = Running::on(&place);
        sleep(MOMENT * 10).await;
        // From here on the audit takes nothing.
        place.fail();
        running.refuse();
        let untold = AuditEntry::of_service(Moment(1), Decision::Stopped);
        assert!(place.engine.audit_standing(untold).await.is_err() && place.engine.has_untold());
        sleep(MOMENT * 10).await;
        // Long before the second is over it was woken: nobody else is.
        assert!(timeout(MOMENT, place.engine.one_more_untold()).await.is_err(), "it was not woken");
        sleep(INTERVAL * 3).await;
        assert_eq!(running.edge.told(), [(Some(Method::Lookup), "MALFORMED_MESSAGE", 1)], "none is lost");
        assert!(place.engine.has_untold());
    });
}

#[test]
fn while_there_is_no_engine_nothing_is_lost_and_once_there_is_it_is_told() {
    let place = Place::new();
    standing_clock().block_on(async {
        let had = place.engine.positions().synced_through;
        let running = Running::start();
        running.refuse();
        sleep(INTERVAL * 5).await;
        assert_eq!(running.edge.told().len(), 1, "there is no audit yet");
        running.slot.fill(Ok(Arc::clone(&place.engine)));
        let took = running.handed_on_after().await;
        assert!(within(Duration::ZERO..INTERVAL, took), "{took:?}");
        audited(&place, had + 1).await;
    });
}
