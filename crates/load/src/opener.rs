//! Threads that open connections, so that the threads that measure never wait for a handshake.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ClientConfig;

use crate::link::{Link, OpenError, Service};

/// Pause before a connection that failed is tried again.
pub const RETRY: Duration = Duration::from_millis(200);

/// A connection to open.
pub struct Order {
    /// The place that it is for.
    pub place: usize,
    /// Who calls.
    pub config: Arc<ClientConfig>,
    /// How long to wait first.
    pub after: Duration,
    /// Where it goes.
    pub reply: Sender<Opened>,
}

/// A connection that was ordered.
pub struct Opened {
    /// The place that it is for.
    pub place: usize,
    /// The connection and how long it took.
    pub result: Result<(Link, Duration), OpenError>,
}

/// The threads. They end when nobody can order any more.
pub struct Opener {
    orders: Sender<Order>,
    threads: Vec<JoinHandle<()>>,
}

impl Opener {
    /// Starts `threads` of them.
    #[must_use]
    pub fn start(service: &Service, threads: usize) -> Self {
        let (orders, taken) = channel::<Order>();
        let taken = Arc::new(Mutex::new(taken));
        let threads = (0..threads).map(|_| {
            let (service, taken) = (service.clone(), Arc::clone(&taken));
            std::thread::spawn(move || serve(&service, &taken))
        });
        Self { orders, threads: threads.collect() }
    }

    /// To order with.
    #[must_use]
    pub fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// Waits until everything ordered is done.
    pub fn finish(self) {
        drop(self.orders);
        for thread in self.threads {
            // A panic there has been printed already.
            let _ended = thread.join();
        }
    }
}

fn serve(service: &Service, taken: &Mutex<Receiver<Order>>) {
    loop {
        let order = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Order { place, config, after, reply }) = order else { return };
        if !after.is_zero() {
            std::thread::sleep(after);
        }
        // Nobody waits for it any more when the run has ended.
        let _sent = reply.send(Opened { place, result: Link::open(service, &config) });
    }
}
