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
use crate::tls::{TlsError, TlsState};

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
    /// What had been found before the reading before that one.
    earlier: Option<F>,
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
        Self { read, differed: false, since: 0, earlier: None }
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
            self.earlier = Some(std::mem::replace(&mut self.read, found));
            self.since = 0;
        }
        due
    }

    /// What was due was not read: the next look has it due again. Else who is revoked would go on until somebody touches a file.
    fn put_back(&mut self) {
        if let Some(earlier) = self.earlier.take() {
            self.read = earlier;
        }
        self.differed = true;
        self.since = AGAIN_LOOKS;
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

/// What is done on a thread of its own.
type Work = Box<dyn FnOnce() + Send>;

/// Begins such a thread.
fn on_thread(name: &'static str) -> impl Fn(Work) -> io::Result<()> + Copy {
    move |work| thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Does work on a thread of its own, which `begin` begins, and waits for it, behind nobody else's.
async fn aside<T: Send + 'static>(
    begin: impl Fn(Work) -> io::Result<()>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (reply, done) = oneshot::channel();
    let work = move || {
        // Whoever waited may have gone.
        let _gone = reply.send(work());
    };
    begin(Box::new(work))?;
    done.await.map_err(|_| io::Error::other("it ended in a panic"))
}

/// The thread on which certificates and lists are read.
const RELOAD: &str = "kithd-reload";

/// How soon it is looked again when what was due could not be read: a machine that has no thread to spare may have one soon.
const SOON: Duration = Duration::from_secs(1);

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
        if !look(&mut looks, &tls, on_thread(RELOAD)).await {
            ticks.reset_after(SOON.min(interval));
        }
    }
}

/// One look: what is due is read. False when it could not be.
async fn look(looks: &mut Looks<Vec<Seen>>, tls: &Arc<TlsState>, begin: impl Fn(Work) -> io::Result<()>) -> bool {
    let is_read = match looks.due(tls.fingerprint(), !tls.failed().is_empty()) {
        None => return true,
        Some(Due::Again) if !tls.is_unread() => try_again(tls, begin).await,
        // What nobody has read yet is no second try.
        Some(Due::Changed | Due::Again) => reload(tls, begin).await,
    };
    if !is_read {
        looks.put_back();
    }
    is_read
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
        if let Err(error) = aside(on_thread("kithd-expiry"), move || state.examine_open(UnixTime::now())).await {
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

/// Reloads the certificates on a thread of its own, and says how it went. False when nothing was read.
async fn reload(tls: &Arc<TlsState>, begin: impl Fn(Work) -> io::Result<()>) -> bool {
    let state = Arc::clone(tls);
    match aside(begin, move || state.reload()).await {
        Ok(Ok(())) => tracing::info!("certificates reloaded; new connections use them"),
        Ok(Err(errors)) => tell(&errors),
        Err(error) => return unread(tls, &error),
    }
    true
}

/// Reads once more what could not be used, and tells of what is new in that alone. False when nothing was read.
async fn try_again(tls: &Arc<TlsState>, begin: impl Fn(Work) -> io::Result<()>) -> bool {
    let state = Arc::clone(tls);
    match aside(begin, move || state.try_again()).await {
        Ok(errors) => {
            tell(&errors);
            if tls.failed().is_empty() {
                tracing::info!("certificates can be used that could not before; new connections use them");
            }
        }
        Err(error) => return unread(tls, &error),
    }
    true
}

fn tell(errors: &[TlsError]) {
    for error in errors {
        tracing::error!("failed to {error}; what was in force of it stays in force");
    }
}

/// Shows that a reading did not come to its end, until one does.
fn unread(tls: &TlsState, error: &io::Error) -> bool {
    if tls.note_unread() {
        tracing::error!(%error, "failed to read certificates and revocation lists: what is new in them waits, and is tried again");
    }
    false
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
                    // What could not be read shows, and the watch over the files reads it.
                    let _ = reload(&tls, on_thread(RELOAD)).await;
                    continue;
                }
            }
            if orders == 1 { stop.drain() } else { stop.end_now() }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{Due, Looks, RELOAD, Work, first_look, look, on_thread, reload};
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
        let read = control
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), reload(&tls, on_thread(RELOAD))).await });
        assert_eq!(read.ok(), Some(true), "it waits behind what hangs");
        drop(end);
    }

    /// What a reading may come to before it has begun, or in the midst of it.
    const NOT_READ: [fn(Work) -> io::Result<()>; 2] = [
        |_| Err(io::Error::from(io::ErrorKind::WouldBlock)),
        |work| {
            // As when it panics: whoever waits is never told.
            drop(work);
            Ok(())
        },
    ];

    const READ: fn(Work) -> io::Result<()> = |work| {
        work();
        Ok(())
    };

    #[test]
    fn a_change_whose_reading_did_not_come_to_its_end_shows_and_is_read_at_the_next_look() {
        let control = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for not_read in NOT_READ {
            let dir = tempfile::tempdir().unwrap();
            let tls = Arc::new(crate::accept::tests::tls(dir.path()));
            let mut looks = first_look(&tls);
            let mut looked = |begin: fn(Work) -> io::Result<()>| control.block_on(look(&mut looks, &tls, begin));
            std::fs::write(dir.path().join("ca.pem"), "no certificate").unwrap();
            assert!(looked(READ), "it is not due yet");
            assert_eq!(tls.failed(), []);
            for _ in 0..3 {
                assert!(!looked(not_read));
                assert_eq!(tls.failed(), Part::ALL, "nobody knows what the files hold");
            }
            assert!(looked(READ));
            assert_eq!(tls.failed(), [Part::ClientAuthorities], "it was read");
        }
    }

    /// As where somebody orders it, and no look finds anything else than before.
    #[test]
    fn what_somebody_ordered_and_was_not_read_is_read_by_itself() {
        let control = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for not_read in NOT_READ {
            let dir = tempfile::tempdir().unwrap();
            let tls = Arc::new(crate::accept::tests::tls(dir.path()));
            let mut looks = first_look(&tls);
            assert!(!control.block_on(reload(&tls, not_read)));
            assert_eq!(tls.failed(), Part::ALL);
            for begin in [not_read, not_read, not_read, READ] {
                control.block_on(look(&mut looks, &tls, begin));
            }
            assert_eq!(tls.failed(), []);
        }
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
