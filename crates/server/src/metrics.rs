//! The metrics endpoint: plain text for Prometheus over plain HTTP, off unless configured. It serves one page, and never
//! anything of a child.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::application::Application;
use crate::engine_slot::EngineSlot;
use crate::metrics_page;
use crate::serve::StartError;
use crate::shed::ShedReport;
use crate::stop::StopSignal;
use crate::tls::TlsState;

/// Largest request read: a scraper's is a few hundred bytes.
const REQUEST_MAX_BYTES: usize = 4_096;
/// Longest time for one request and its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Requests at once; further ones wait in the kernel.
const AT_ONCE: usize = 4;
/// Pause after a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// What Prometheus calls its text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Binds the configured address; none when it is off.
///
/// # Errors
/// When the address is in use or not ours.
pub(crate) fn bind(listen: &str) -> Result<Option<std::net::TcpListener>, StartError> {
    let Ok(address) = listen.parse::<SocketAddr>() else { return Ok(None) };
    let open = || -> io::Result<std::net::TcpListener> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map(Some).map_err(|source| StartError::Listen { address, source })
}

/// Serves the page until the order to stop.
pub(crate) async fn serve<A: Application>(
    listener: std::net::TcpListener,
    application: Arc<A>,
    engine: Arc<EngineSlot<A::Engine>>,
    tls: Arc<TlsState>,
    shed: Arc<ShedReport>,
    stop: StopSignal,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "failed to serve metrics");
            return;
        }
    };
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            () = stop.draining() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (application, engine) = (Arc::clone(&application), Arc::clone(&engine));
        let (tls, shed) = (Arc::clone(&tls), Arc::clone(&shed));
        tokio::spawn(async move {
            let page = move || {
                application.metrics(&engine.state())
                    + &metrics_page::files(&tls, &application.reload_failed())
                    + &metrics_page::shed(shed.counts())
            };
            // A scraper that has gone or is slow is not served; it comes again.
            let _ = tokio::time::timeout(LIMIT, answer(stream, page)).await;
            drop(turn);
        });
    }
}

async fn answer(mut stream: TcpStream, page: impl FnOnce() -> String) -> io::Result<()> {
    let request = request(&mut stream).await?;
    let (status, body) = match request.split(|byte| *byte == b' ').take(2).collect::<Vec<_>>()[..] {
        [b"GET", b"/metrics"] => ("200 OK", page()),
        [b"GET", _] => ("404 Not Found", String::from("only /metrics is here\n")),
        _ => ("405 Method Not Allowed", String::from("only GET is known here\n")),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The request's head; a longer one is cut, and then not understood.
async fn request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut read, mut part) = (Vec::new(), [0; 512]);
    while read.len() < REQUEST_MAX_BYTES && !read.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await? {
            0 => break,
            count => read.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
    Ok(read)
}
