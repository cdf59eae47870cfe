//! Looks at the certificate files for changes and at whether the engine can answer, and listens for signals.
//! Never lets a bad new file replace a good old one.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls_pki_types::UnixTime;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::application::Application;
use crate::engine_slot::{EngineSlot, EngineState};
use crate::file_changes::Seen;
use crate::health::Readiness;
use crate::stop::{StopHandle, StopSignal};
use crate::tls::TlsState;

/// When files are read anew: at the second look in a row that finds them other than they were when they were last read. The first
/// may be in the middle of a replacement. To wait until two looks find the same would leave it to whoever touches any of them again
/// and again that nothing is ever read, and that whoever is revoked goes on. What could not be used is read again though it stays the
/// same: the reason may have passed, as with a certificate that was not in force yet or a disk in trouble.
#[derive(Debug)]
struct Looks<F> {
    /// What was found before the last reading.
    read: F,
    /// The look before found something else than that.
    differed: bool,
    /// How many there were since the last reading.
    since: u32,
}

/// After how many looks what could not be used is read again: no later than what changes.
const AGAIN_LOOKS: u32 = 2;

/// Why files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// They are others.
    Changed,
    /// They are the same, and could not be used.
    Again,
}

impl<F: PartialEq> Looks<F> {
    fn new(read: F) -> Self {
        Self { read, differed: false, since: 0 }
    }

    /// Takes what a look found, and whether anything that was read could not be used; why everything is to be read now, if it is.
    /// What changes while it is read, the next look finds.
    fn due(&mut self, found: F, has_failed: bool) -> Option<Due> {
        self.since = self.since.saturating_add(1);
        let differs = found != self.read;
        let due = match (differs && self.differed, has_failed && self.since >= AGAIN_LOOKS) {
            (true, _) => Some(Due::Changed),
            (false, true) if !differs => Some(Due::Again),
            (false, _) => None,
        };
        self.differed = differs && due.is_none();
        if due.is_some() {
            self.read = found;
            self.since = 0;
        }
        due
    }
}

/// By what the files looked like before they were first read, and not by what they look like when this begins: what was replaced
/// in between, a list of whoever is revoked too, would never be read.
fn first_look(tls: &TlsState) -> Looks<Vec<Seen>> {
    Looks::new(tls.first_seen().to_vec())
}

/// Runs a watch on a thread of its own until it ends. Everything else on the control threads may hang with a disk, all of it at
/// once; whoever is revoked or has expired must not go on for that.
///
/// # Errors
/// When there is no thread for it.
pub(crate) fn apart(name: &str, watch: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(watch))?;
    Ok(())
}

/// Does work on a thread of its own and waits for it, behind nobody else's.
async fn aside<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (reply, done) = oneshot::channel();
    let work = move || {
        // Whoever waited may have gone.
        let _gone = reply.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    done.await.map_err(|_| io::Error::other("it ended in a panic"))
}

/// Reloads certificates and lists within two intervals of a change of their files, and not at the first look that finds it, so
/// that certificate and key are hardly ever read in the middle of being replaced. Where they are, they do not go together: the
/// old ones stay in force, and the next look finds the rest of the change.
pub(crate) async fn certificates(tls: Arc<TlsState>, interval: Duration, stop: StopSignal) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = first_look(&tls);
    loop {
        tokio::select! {
            biased;
            () = stop.draining() => return,
            _ = ticks.tick() => {}
        }
        match looks.due(tls.fingerprint(), !tls.failed().is_empty()) {
            Some(Due::Changed) => reload(&tls).await,
            Some(Due::Again) => try_again(&tls).await,
            None => {}
        }
    }
}

/// How often it is looked whether certificates on open connections have expired.
const CONNECTIONS_INTERVAL: Duration = Duration::from_secs(15);

/// Ends open connections whose certificate has expired.
pub(crate) async fn connections(tls: Arc<TlsState>, stop: StopSignal) {
    let mut ticks = tokio::time::interval(CONNECTIONS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.draining() => return,
            _ = ticks.tick() => {}
        }
        let state = Arc::clone(&tls);
        if let Err(error) = aside("kithd-expiry", move || state.examine_open(UnixTime::now())).await {
            tracing::error!(%error, "failed to look at open connections");
        }
    }
}

/// How often it is looked whether the engine can answer.
const HEALTH_INTERVAL: Duration = Duration::from_millis(200);

/// Holds the server back while the engine cannot answer, so that health never says SERVING when every question fails.
pub(crate) async fn health<A: Application>(
    application: Arc<A>,
    engine: Arc<EngineSlot<A::Engine>>,
    readiness: Readiness,
    stop: StopSignal,
) {
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held_back = false;
    loop {
        tokio::select! {
            biased;
            () = stop.draining() => return,
            _ = ticks.tick() => {}
        }
        let EngineState::Ready(engine) = engine.state() else { continue };
        let hold = !application.can_answer(&engine);
        if hold != held_back {
            match hold {
                true => tracing::error!("NOT SERVING: questions cannot be audited now"),
                false => tracing::info!("serving again: questions can be audited"),
            }
            readiness.hold_back(hold).await;
            held_back = hold;
        }
    }
}

/// Reloads the certificates on a thread of its own, and says how it went.
pub(crate) async fn reload(tls: &Arc<TlsState>) {
    let state = Arc::clone(tls);
    match aside("kithd-reload", move || state.reload()).await {
        Ok(Ok(())) => tracing::info!("certificates reloaded; new connections use them"),
        Ok(Err(errors)) => {
            for error in errors {
                tracing::error!("failed to {error}; what was in force of it stays in force");
            }
        }
        Err(error) => tracing::error!(%error, "failed to reload certificates"),
    }
}

/// Reads once more what could not be used, and tells of what is new in that alone.
async fn try_again(tls: &Arc<TlsState>) {
    let state = Arc::clone(tls);
    match aside("kithd-reload", move || state.try_again()).await {
        Ok(errors) => {
            for error in errors {
                tracing::error!("failed to {error}; what was in force of it stays in force");
            }
            if tls.failed().is_empty() {
                tracing::info!("certificates can be used that could not before; new connections use them");
            }
        }
        Err(error) => tracing::error!(%error, "failed to reload certificates"),
    }
}

/// Has the application look at its files now and then, and at once on SIGHUP, and tells it what became of certificate files.
///
/// # Errors
/// When the signal cannot be listened for.
pub(crate) fn files<A: Application>(
    application: Arc<A>,
    engine: Arc<EngineSlot<A::Engine>>,
    (tls, interval): (Arc<TlsState>, Duration),
    stop: StopSignal,
) -> io::Result<impl Future<Output = ()> + Send> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(async move {
        loop {
            let asked = tokio::select! {
                biased;
                () = stop.draining() => return,
                _ = hangup.recv() => true,
                _ = ticks.tick() => false,
            };
            let EngineState::Ready(engine) = engine.state() else { continue };
            let (application, tls) = (Arc::clone(&application), Arc::clone(&tls));
            let look = move || {
                application.look_again(&engine, asked);
                tls.changes().hand(|change| application.file_changed(&engine, change));
            };
            if let Err(error) = tokio::task::spawn_blocking(look).await {
                tracing::error!(%error, "failed to look at files");
            }
        }
    })
}

/// Trims the log at once when SIGUSR1 asks for it: before the data directory is copied, or to have its room back sooner.
///
/// # Errors
/// When the signal cannot be listened for.
pub(crate) fn trims<A: Application>(
    application: Arc<A>,
    engine: Arc<EngineSlot<A::Engine>>,
    stop: StopSignal,
) -> io::Result<impl Future<Output = ()> + Send> {
    let mut asked = signal(SignalKind::user_defined1())?;
    Ok(async move {
        loop {
            tokio::select! {
                biased;
                () = stop.draining() => return,
                _ = asked.recv() => {}
            }
            let EngineState::Ready(engine) = engine.state() else {
                tracing::warn!("the log is not trimmed: kithd is not ready");
                continue;
            };
            let application = Arc::clone(&application);
            match tokio::task::spawn_blocking(move || application.trim(&engine)).await {
                // It says so itself.
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the log is not trimmed"),
                Err(error) => tracing::error!(%error, "the log is not trimmed"),
            }
        }
    })
}

/// Turns signals into orders: SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads certificates.
///
/// # Errors
/// When a signal cannot be listened for.
pub(crate) fn signals(stop: StopHandle, tls: Arc<TlsState>) -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Once listened for it ends no process any more; [`trims`] hears it later, when there is a log to trim.
    drop(signal(SignalKind::user_defined1())?);
    Ok(async move {
        let mut orders = 0_u32;
        loop {
            tokio::select! {
                _ = terminate.recv() => orders += 1,
                _ = interrupt.recv() => orders += 1,
                _ = hangup.recv() => {
                    reload(&tls).await;
                    continue;
                }
            }
            if orders == 1 { stop.drain() } else { stop.end_now() }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{Due, Looks, first_look, reload};
    use crate::tls::Part;

    /// Other people's work, on every thread that there is for such work.
    #[test]
    fn files_are_read_anew_though_everything_else_that_blocks_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Arc::new(crate::accept::tests::tls(dir.path()));
        let control =
            tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        let (end, ended) = mpsc::channel::<()>();
        // It ends when the test does, whichever way.
        control.spawn_blocking(move || ended.recv());
        let read = control.block_on(async { tokio::time::timeout(Duration::from_secs(60), reload(&tls)).await });
        assert!(read.is_ok(), "it waits behind what hangs");
        drop(end);
    }

    /// What becomes of looks at files that can all be used.
    fn changed(looks: &mut Looks<char>, found: char) -> bool {
        looks.due(found, false).is_some_and(|due| due == Due::Changed)
    }

    #[test]
    fn a_change_is_read_once_at_the_second_look_that_finds_it() {
        let mut looks = Looks::new('a');
        let due = ['a', 'b', 'b', 'b', 'a', 'b', 'c', 'c', 'c'].map(|found| changed(&mut looks, found));
        assert_eq!(due, [false, false, true, false, false, false, false, true, false]);
    }

    #[test]
    fn what_could_not_be_used_is_read_again_at_every_second_look_and_a_change_of_it_as_any() {
        let mut looks = Looks::new('a');
        let due = ['b', 'b', 'b', 'b', 'b', 'b', 'c', 'c'].map(|found| looks.due(found, true));
        let (again, change) = (Some(Due::Again), Some(Due::Changed));
        assert_eq!(due, [None, change, None, again, None, again, None, change]);
        assert_eq!([looks.due('c', false), looks.due('c', false)], [None, None]);
    }

    #[test]
    fn what_is_replaced_between_the_first_reading_and_the_first_look_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let tls = crate::accept::tests::tls(dir.path());
        let authorities = std::fs::read(dir.path().join("ca.pem")).unwrap();
        std::fs::write(dir.path().join("ca.pem"), [authorities, b"\n".to_vec()].concat()).unwrap();
        let mut looks = first_look(&tls);
        let due = [(); 3].map(|()| looks.due(tls.fingerprint(), false));
        assert_eq!(due, [None, Some(Due::Changed), None], "once");
    }

    /// As where a list is fetched anew between any two looks.
    #[test]
    fn what_never_stays_the_same_is_read_at_every_second_look() {
        for has_failed in [false, true] {
            let mut looks = Looks::new(0);
            let due: Vec<bool> = (1..=6).map(|found| looks.due(found, has_failed).is_some()).collect();
            assert_eq!(due, [false, true, false, true, false, true], "{has_failed}");
        }
    }

    #[test]
    fn what_is_read_again_is_told_when_it_is_new_and_comes_into_force_once_it_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let tls = crate::accept::tests::tls(dir.path());
        let certificate = dir.path().join("server.pem");
        let good = std::fs::read(&certificate).unwrap();
        let told = || {
            let mut told = 0;
            tls.changes().hand(|_| {
                told += 1;
                true
            });
            told
        };
        told();
        std::fs::write(&certificate, "no certificate").unwrap();
        assert_eq!((tls.reload().unwrap_err().len(), told()), (1, 1));
        for _ in 0..3 {
            assert_eq!((tls.try_again().len(), told()), (0, 0), "the same again");
        }
        assert_eq!(tls.failed(), [Part::Certificate]);
        std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert_eq!((tls.try_again().len(), told()), (1, 0), "another reason");
        std::fs::write(&certificate, good).unwrap();
        assert!(tls.try_again().is_empty());
        assert_eq!(tls.failed(), []);
    }
}
