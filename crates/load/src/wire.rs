//! One HTTP/2 connection with gRPC on it, as bytes in and bytes out. It is written for this purpose alone, because the
//! generator shares its machine with the server: a request costs two frames appended to a buffer. It does no I/O.

mod headers;
mod status;

use std::collections::VecDeque;

pub use headers::Route;

use headers::Encoder;
use status::Decoder;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;
/// Largest frame that either side sends: nobody here asks for more.
const MAX_FRAME: usize = 16_384;
/// What a peer may send on one stream, and on the connection, before it is told to go on.
const OWN_WINDOW: u32 = 1 << 24;
/// The peer is told so after so many bytes.
const WINDOW_STEP: u32 = 1 << 20;
/// Streams that may be open until the peer has said how many.
const FIRST_MAX_STREAMS: usize = 100;
/// Window of either kind until the peer has said otherwise.
const FIRST_WINDOW: i64 = 65_535;
/// Largest block of headers or answer taken in, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Frame types.
mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RESET: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

mod flag {
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this gRPC status.
    Status(u8),
    /// The stream was reset, with this HTTP/2 error.
    Reset(u32),
    /// The server left before it took the call.
    NotTaken,
    /// Without a gRPC status.
    NoStatus,
}

/// What came in.
#[derive(Debug)]
pub enum Event {
    /// One message of a call that goes on.
    Message {
        /// The call.
        token: u64,
        /// The message, without its prefix.
        body: Vec<u8>,
    },
    /// A call ended.
    Ended {
        /// The call.
        token: u64,
        /// Its messages, each with its prefix of five bytes; for a call that goes on, what was left.
        body: Vec<u8>,
        /// How.
        how: Ended,
    },
}

/// Why a connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

struct Open {
    id: u32,
    token: u64,
    /// Messages are handed out as they come.
    streaming: bool,
    status: Option<u8>,
    window: i64,
    unacknowledged: u32,
    body: Vec<u8>,
}

/// One connection.
pub struct Wire {
    /// Bytes to send.
    pub out: Vec<u8>,
    /// What came in, in order.
    pub events: Vec<Event>,
    /// The server ends this connection: nothing new may start on it.
    pub leaving: bool,
    /// The server has said what it takes: it speaks HTTP/2 here, so it has let this client in.
    pub greeted: bool,
    partial: Vec<u8>,
    headers: Vec<u8>,
    headers_end_stream: bool,
    encoder: Encoder,
    decoder: Decoder,
    open: Vec<Open>,
    waiting: VecDeque<(u32, Vec<u8>, bool)>,
    next_id: u32,
    max_streams: usize,
    window: i64,
    stream_window: i64,
    unacknowledged: u32,
    spare: Vec<Vec<u8>>,
}

impl Wire {
    /// A connection that calls `routes` of `authority`.
    #[must_use]
    pub fn new(authority: &str, timeout_ms: u64, routes: &[Route]) -> Self {
        let mut wire = Self {
            out: Vec::with_capacity(4096),
            events: Vec::new(),
            leaving: false,
            greeted: false,
            partial: Vec::new(),
            headers: Vec::new(),
            headers_end_stream: false,
            encoder: Encoder::new(authority, timeout_ms, routes),
            decoder: Decoder::default(),
            open: Vec::new(),
            waiting: VecDeque::new(),
            next_id: 1,
            max_streams: FIRST_MAX_STREAMS,
            window: FIRST_WINDOW,
            stream_window: FIRST_WINDOW,
            unacknowledged: 0,
            spare: Vec::new(),
        };
        wire.out.extend_from_slice(PREFACE);
        wire.frame_header(12, kind::SETTINGS, 0, 0);
        // No pushes (2 = 0); the window of a stream (4).
        wire.out.extend_from_slice(&[0, 2, 0, 0, 0, 0, 0, 4]);
        wire.out.extend_from_slice(&OWN_WINDOW.to_be_bytes());
        wire.window_update(0, OWN_WINDOW - FIRST_WINDOW as u32);
        wire
    }

    /// Names a person on the calls whose messages name nobody.
    pub fn name(&mut self, person: &[u8]) {
        self.encoder.name(person);
    }

    /// Calls open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether a call may start now.
    #[must_use]
    pub fn may_start(&self) -> bool {
        !self.leaving && self.open.len() < self.max_streams && self.next_id < u32::MAX / 2 - 2
    }

    /// Starts a call. A unary one sends its one message and ends; a streaming one sends messages with [`Wire::send`].
    pub fn start(&mut self, route: usize, token: u64, message: Option<&[u8]>) {
        let id = self.next_id;
        self.next_id += 2;
        let at = self.out.len();
        self.frame_header(0, kind::HEADERS, flag::END_HEADERS, id);
        self.encoder.block(route, &mut self.out);
        self.patch_length(at);
        let body = self.spare.pop().unwrap_or_default();
        self.open.push(Open {
            id,
            token,
            streaming: message.is_none(),
            status: None,
            window: self.stream_window,
            unacknowledged: 0,
            body,
        });
        if let Some(message) = message {
            self.data(id, message, true);
        }
    }

    /// Sends one more message of a streaming call; false when it is not open.
    pub fn send(&mut self, token: u64, message: &[u8]) -> bool {
        let Some(id) = self.open.iter().find(|open| open.token == token).map(|open| open.id) else { return false };
        self.data(id, message, false);
        true
    }

    /// Ends the sending side of a streaming call.
    pub fn finish(&mut self, token: u64) {
        if let Some(id) = self.open.iter().find(|open| open.token == token).map(|open| open.id) {
            self.frame_header(0, kind::DATA, flag::END_STREAM, id);
        }
    }

    /// Gives up a call: the server is told, and nothing more comes of it.
    pub fn reset(&mut self, token: u64) {
        const CANCEL: u32 = 8;
        if let Some(at) = self.open.iter().position(|open| open.token == token) {
            let open = self.open.remove(at);
            self.frame_header(4, kind::RESET, 0, open.id);
            self.out.extend_from_slice(&CANCEL.to_be_bytes());
            self.waiting.retain(|(id, ..)| *id != open.id);
        }
    }

    /// Takes every call off that is still open: the connection is gone.
    pub fn abandon(&mut self) -> Vec<u64> {
        self.waiting.clear();
        self.open.drain(..).map(|open| open.token).collect()
    }

    /// Gives a body back, to be used again.
    pub fn recycle(&mut self, mut body: Vec<u8>) {
        const KEPT: usize = 256;
        if self.spare.len() < KEPT && body.capacity() > 0 {
            body.clear();
            self.spare.push(body);
        }
    }

    fn frame_header(&mut self, length: usize, kind: u8, flags: u8, id: u32) {
        let length = (length as u32).to_be_bytes();
        self.out.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
        self.out.extend_from_slice(&id.to_be_bytes());
    }

    /// Writes the true length into the frame that began at `at`.
    fn patch_length(&mut self, at: usize) {
        let length = ((self.out.len() - at - HEADER) as u32).to_be_bytes();
        self.out[at..at + 3].copy_from_slice(&length[1..]);
    }

    fn window_update(&mut self, id: u32, by: u32) {
        self.frame_header(4, kind::WINDOW_UPDATE, 0, id);
        self.out.extend_from_slice(&by.to_be_bytes());
    }

    /// Sends a message with its prefix, or keeps it until the peer has room.
    fn data(&mut self, id: u32, message: &[u8], end: bool) {
        let length = message.len() + 5;
        let fits = length <= MAX_FRAME && self.waiting.is_empty() && self.room(id) >= length as i64;
        let prefix = (message.len() as u32).to_be_bytes();
        if fits {
            self.take_room(id, length as i64);
            self.frame_header(length, kind::DATA, u8::from(end), id);
            self.out.push(0);
            self.out.extend_from_slice(&prefix);
            self.out.extend_from_slice(message);
            return;
        }
        let mut whole = Vec::with_capacity(length);
        whole.push(0);
        whole.extend_from_slice(&prefix);
        whole.extend_from_slice(message);
        self.waiting.push_back((id, whole, end));
        self.send_waiting();
    }

    fn room(&self, id: u32) -> i64 {
        let stream = self.open.iter().rev().find(|open| open.id == id).map_or(0, |open| open.window);
        stream.min(self.window)
    }

    fn take_room(&mut self, id: u32, length: i64) {
        self.window -= length;
        if let Some(open) = self.open.iter_mut().rev().find(|open| open.id == id) {
            open.window -= length;
        }
    }

    /// In order, as far as there is room.
    fn send_waiting(&mut self) {
        while let Some((id, mut bytes, end)) = self.waiting.pop_front() {
            let take = self.room(id).clamp(0, MAX_FRAME as i64) as usize;
            let take = take.min(bytes.len());
            if take == 0 {
                self.waiting.push_front((id, bytes, end));
                return;
            }
            let rest = bytes.split_off(take);
            self.take_room(id, take as i64);
            let last = rest.is_empty();
            self.frame_header(take, kind::DATA, u8::from(end && last), id);
            self.out.extend_from_slice(&bytes);
            if !last {
                self.waiting.push_front((id, rest, end));
            }
        }
    }

    /// Takes bytes in.
    ///
    /// # Errors
    /// [`Broken`] when they are not HTTP/2 as expected here.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.partial.is_empty() {
            let used = self.frames(bytes)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let used = self.frames(&joined)?;
        joined.drain(..used);
        self.partial = joined;
        Ok(())
    }

    /// Every whole frame; gives how many bytes they had.
    fn frames(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while let Some(header) = bytes.get(at..at + HEADER) {
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            if length > MAX_FRAME {
                return Err(Broken("a frame larger than allowed"));
            }
            let Some(payload) = bytes.get(at + HEADER..at + HEADER + length) else { break };
            let id = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) & (u32::MAX >> 1);
            self.frame(header[3], header[4], id, payload)?;
            at += HEADER + length;
        }
        Ok(at)
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<(), Broken> {
        match kind {
            kind::DATA => self.data_in(flags, id, payload),
            kind::HEADERS => {
                let payload = unpadded(flags, payload)?;
                let priority = if flags & flag::PRIORITY != 0 { 5 } else { 0 };
                self.headers.clear();
                self.headers.extend_from_slice(payload.get(priority..).ok_or(Broken("a short HEADERS frame"))?);
                self.headers_end_stream = flags & flag::END_STREAM != 0;
                self.headers_in(flags, id)
            }
            kind::CONTINUATION => {
                self.headers.extend_from_slice(payload);
                self.headers_in(flags, id)
            }
            kind::RESET => {
                let code = number(payload)?;
                self.end(id, Ended::Reset(code));
                Ok(())
            }
            kind::SETTINGS if flags & flag::ACK == 0 => self.settings(payload),
            kind::PING if flags & flag::ACK == 0 => {
                self.frame_header(payload.len(), kind::PING, flag::ACK, 0);
                self.out.extend_from_slice(payload);
                Ok(())
            }
            kind::GOAWAY => {
                self.leaving = true;
                let last = number(payload)? & (u32::MAX >> 1);
                let refused: Vec<u32> = self.open.iter().map(|open| open.id).filter(|id| *id > last).collect();
                for id in refused {
                    self.end(id, Ended::NotTaken);
                }
                Ok(())
            }
            kind::WINDOW_UPDATE => {
                let by = i64::from(number(payload)? & (u32::MAX >> 1));
                if id == 0 {
                    self.window += by;
                } else if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
                    open.window += by;
                }
                self.send_waiting();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn data_in(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Broken> {
        self.unacknowledged += payload.len() as u32;
        if self.unacknowledged >= WINDOW_STEP {
            self.window_update(0, self.unacknowledged);
            self.unacknowledged = 0;
        }
        let body = unpadded(flags, payload)?;
        let Some(at) = self.open.iter().position(|open| open.id == id) else { return Ok(()) };
        let open = &mut self.open[at];
        open.body.extend_from_slice(body);
        if open.body.len() > MAX_BODY {
            return Err(Broken("an answer larger than allowed"));
        }
        if open.streaming {
            while let Some(message) = first_message(&open.body) {
                let (body, used) = (message.to_vec(), message.len() + 5);
                self.events.push(Event::Message { token: open.token, body });
                open.body.drain(..used);
            }
        }
        open.unacknowledged += payload.len() as u32;
        let step = open.unacknowledged;
        if step >= WINDOW_STEP {
            open.unacknowledged = 0;
            self.window_update(id, step);
        }
        if flags & flag::END_STREAM != 0 {
            self.end(id, Ended::NoStatus);
        }
        Ok(())
    }

    fn headers_in(&mut self, flags: u8, id: u32) -> Result<(), Broken> {
        if flags & flag::END_HEADERS == 0 {
            return if self.headers.len() > MAX_FRAME * 4 {
                Err(Broken("headers larger than allowed"))
            } else {
                Ok(())
            };
        }
        let block = std::mem::take(&mut self.headers);
        let status = self.decoder.status(&block)?;
        self.headers = block;
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.status = status.or(open.status);
        }
        if self.headers_end_stream {
            self.end(id, Ended::NoStatus);
        }
        Ok(())
    }

    /// A gRPC status that has come outranks `otherwise`.
    fn end(&mut self, id: u32, otherwise: Ended) {
        if let Some(at) = self.open.iter().position(|open| open.id == id) {
            let Open { token, status, body, .. } = self.open.remove(at);
            let how = match (otherwise, status) {
                (Ended::NoStatus, Some(status)) => Ended::Status(status),
                (otherwise, _) => otherwise,
            };
            self.events.push(Event::Ended { token, body, how });
        }
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), Broken> {
        self.greeted = true;
        for setting in payload.chunks_exact(6) {
            let value = number(&setting[2..])?;
            match setting[1] {
                1 => self.encoder.limit(value)?,
                3 => self.max_streams = value as usize,
                4 => {
                    let change = i64::from(value) - self.stream_window;
                    self.stream_window += change;
                    for open in &mut self.open {
                        open.window += change;
                    }
                }
                _ => {}
            }
        }
        self.frame_header(0, kind::SETTINGS, flag::ACK, 0);
        self.send_waiting();
        Ok(())
    }
}

fn number(payload: &[u8]) -> Result<u32, Broken> {
    let first = payload.get(..4).and_then(|four| four.try_into().ok()).ok_or(Broken("a short frame"))?;
    Ok(u32::from_be_bytes(first))
}

fn unpadded(flags: u8, payload: &[u8]) -> Result<&[u8], Broken> {
    if flags & flag::PADDED == 0 {
        return Ok(payload);
    }
    let padding = usize::from(*payload.first().ok_or(Broken("a short padded frame"))?);
    let end = payload.len().checked_sub(padding).filter(|end| *end >= 1).ok_or(Broken("padding beyond its frame"))?;
    Ok(&payload[1..end])
}

/// The first whole message of a body, without its prefix.
#[must_use]
pub fn first_message(body: &[u8]) -> Option<&[u8]> {
    let prefix = body.get(1..5)?;
    let length = u32::from_be_bytes(prefix.try_into().ok()?) as usize;
    body.get(5..5 + length)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
