//! HTTP/2 by hand over TLS: whatever frames a test wants, well formed or not.

use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::TestServer;
use crate::probe::SERVICE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The largest window there is.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;

/// What a frame says.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub payload: Vec<u8>,
}

/// A frame on a stream.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// The head of a call of this method of the probe; `end` when the request has no body.
pub fn call(stream: u32, method: &str, end: bool) -> Vec<u8> {
    let flags = END_HEADERS | if end { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block(method))
}

/// A block of headers, each a literal that no table remembers.
pub fn block(method: &str) -> Vec<u8> {
    let path = format!("/{SERVICE}/{method}");
    let headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "60S"),
    ];
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// A connection.
pub struct Raw(TlsStream<TcpStream>);

impl Raw {
    /// With the usual windows, and the server's settings acknowledged.
    pub async fn connect(server: &TestServer, uri: &str) -> Self {
        Self::with_windows(server, uri, 65_535).await
    }

    /// A client that takes so many bytes of each reply, and of all together as many as there may be.
    pub async fn with_windows(server: &TestServer, uri: &str, window: u32) -> Self {
        let pair = server.authority.client(&[uri]);
        let mut raw = Self(server.tls(Some(&pair), &[&TLS13]).await.unwrap());
        let initial_window = [&[0, 4][..], &window.to_be_bytes()].concat();
        let wide = (WINDOW_MAX - 65_535).to_be_bytes();
        raw.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &initial_window)[..]].concat()).await;
        raw.send(&[frame(WINDOW_UPDATE, 0, 0, &wide), frame(SETTINGS, ACK, 0, &[])].concat()).await;
        raw
    }

    /// Sends these bytes; a server that has closed takes nothing more.
    pub async fn send(&mut self, bytes: &[u8]) {
        if self.0.write_all(bytes).await.is_ok() {
            let _ = self.0.flush().await;
        }
    }

    /// Says that nothing more comes from here. What is still to come from there is neither taken nor cut off.
    pub async fn says_no_more(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// The next frame, or nothing when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], payload })
    }

    /// Frames until one of this kind with this flag; nothing when the connection ends before.
    pub async fn until(&mut self, kind: u8, flag: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && frame.flags & flag == flag {
                return Some(frame);
            }
        }
    }

    /// Waits for the end; gives the error that the server said goodbye with, and how many bytes of replies came before.
    pub async fn ended(mut self) -> (Option<u32>, usize) {
        let (mut said, mut data) = (None, 0);
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY => said = frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap())),
                DATA => data += frame.payload.len(),
                _ => {}
            }
        }
        (said, data)
    }
}
