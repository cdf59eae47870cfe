//! Looks at the certificate files for changes, and listens for signals.
//! Never lets a bad new file replace a good old one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::stop::{StopHandle, StopSignal};
use crate::tls::TlsState;

/// Reloads the certificates when their files have changed and then stayed the same for one interval, so that
/// certificate and key are never read in the middle of being replaced.
pub(crate) async fn certificates(tls: Arc<TlsState>, interval: Duration, stop: StopSignal) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut loaded = tls.fingerprint();
    let mut seen = loaded;
    loop {
        tokio::select! {
            biased;
            () = stop.draining() => return,
            _ = ticks.tick() => {}
        }
        let now = tls.fingerprint();
        if now != loaded && now == seen {
            reload(&tls).await;
            loaded = now;
        }
        seen = now;
    }
}

/// Reloads the certificates off the control threads, and says how it went.
pub(crate) async fn reload(tls: &Arc<TlsState>) {
    let state = Arc::clone(tls);
    match tokio::task::spawn_blocking(move || state.reload()).await {
        Ok(Ok(())) => tracing::info!("certificates reloaded; new connections use them"),
        Ok(Err(error)) => tracing::error!("failed to {error}; the certificates in force stay in force"),
        Err(error) => tracing::error!(%error, "failed to reload certificates"),
    }
}

/// Turns signals into orders: SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads certificates.
///
/// # Errors
/// When a signal cannot be listened for.
pub(crate) fn signals(stop: StopHandle, tls: Arc<TlsState>) -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
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
