//! The metrics endpoint: plain text for Prometheus over plain HTTP, off unless configured. It serves one page, and never
//! anything of a child.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
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
                    + &metrics_page::shed(&shed)
            };
            // A scraper that has gone or is slow is not served; it comes again.
            let _ = tokio::time::timeout(LIMIT, answer(stream, page)).await;
            drop(turn);
        });
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The page.
    Page,
    /// Something else that is not here.
    Another,
    /// To do something.
    Deed,
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, page: impl FnOnce() -> String) -> io::Result<()> {
    let (status, body) = match parse(&request(&mut stream).await?) {
        Asked::Page => ("200 OK", page()),
        Asked::Another => ("404 Not Found", String::from("only /metrics is here\n")),
        Asked::Deed => ("405 Method Not Allowed", String::from("only GET is known here\n")),
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
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut read, mut part) = (Vec::new(), [0; 512]);
    while read.len() < REQUEST_MAX_BYTES && !read.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await? {
            0 => break,
            count => read.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
    Ok(read)
}

/// Of a head method and path count, and nothing else of it.
fn parse(head: &[u8]) -> Asked {
    let mut words = head.split(|byte| *byte == b' ');
    match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => Asked::Page,
        (Some(b"GET"), Some(_)) => Asked::Another,
        _ => Asked::Deed,
    }
}

/// What a request of these bytes, all of which are there, is answered with: the first line.
pub(crate) fn examine(bytes: &[u8]) -> String {
    const PAGE: &str = "kith_ready 1\n";
    let mut reply: Vec<u8> = Vec::new();
    {
        let answered = pin!(answer(tokio::io::join(bytes, &mut reply), || String::from(PAGE)));
        let ended = answered.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(ended, Poll::Ready(Ok(()))), "what is all there is waited for, or not answered");
    }
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
    assert!(
        head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
        "a reply of another length than it says"
    );
    assert_eq!(body == PAGE, head.starts_with("HTTP/1.1 200 "), "the page is not what was found");
    assert!(body != PAGE || bytes.starts_with(b"GET /metrics"), "the page for whoever did not ask for it");
    head.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_gets_the_page_by_its_path_has_it_however_long_the_request_is() {
        let long = [&b"GET /metrics HTTP/1.1\r\nA: "[..], &[b'a'; 2 * REQUEST_MAX_BYTES]].concat();
        for page in [&b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"GET /metrics", &long] {
            assert_eq!(examine(page), "HTTP/1.1 200 OK");
        }
        for another in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"GET /metrics/\r\n\r\n", b"GET  /metrics", b"GET "] {
            assert_eq!(examine(another), "HTTP/1.1 404 Not Found");
        }
        for deed in [&b"POST /metrics HTTP/1.1\r\n\r\n"[..], b"get /metrics", b"", b"\0", b"GET"] {
            assert_eq!(examine(deed), "HTTP/1.1 405 Method Not Allowed");
        }
    }
}
