//! What HTTP/2 refuses by itself, for the audit: calls and whole connections that break its rules, headers that it cuts with a bare
//! 431, calls beyond those that a connection may have. No layer above sees any of them and none has words, so they are read from the
//! frames that the peer is answered with; of a connection that does not begin as one must, there is no answer but its end.
//! Never holds a byte back, and never keeps what is said to a peer.

mod block;

use std::collections::BTreeSet;
use std::fmt;

use block::Statuses;

use crate::frame_heads::{FrameHeads, Head, PREFACE, kind};

/// Kept of what was said for the next time, when it was much.
const KEPT_BYTES: usize = 256;

/// Streams of which a 431 was said and the reset behind it was not, at most: as many as a connection may have, by default. Whoever
/// had already sent all of its call gets none.
const CUT_MAX: usize = 128;

/// What came breaks the rules of HTTP/2.
const VIOLATED: &str = "PROTOCOL_VIOLATED";
/// What came is within the rules, and more than the transport takes on one connection: calls reset before they are looked at, parts
/// of headers, small pieces of messages, and what still comes for calls that were refused long ago. An honest client whose calls
/// are given up by the hundred can come to it, so it is called what the same is called where it is counted as it is read.
const TOO_MUCH: &str = "TOO_MANY_CONTROL_FRAMES";
/// A call has headers of more bytes than the transport reads.
const CUT: &str = "HEADERS_TOO_LARGE";
/// How the transport ends a connection for headers of so many bytes that it reads no further to say 431.
const FAR_TOO_LARGE: &[u8] = b"header_list_way_too_large";
/// A connection has as many calls as it may.
const FULL: &str = "OVERLOADED";

/// The block of headers ends with this frame.
pub(crate) const END_HEADERS: u8 = 4;

/// Errors of RFC 9113, section 7, that say what a peer has done. The others say how a call or a connection went on here.
mod error {
    pub(super) const PROTOCOL: u32 = 1;
    pub(super) const FLOW_CONTROL: u32 = 3;
    pub(super) const STREAM_CLOSED: u32 = 5;
    pub(super) const FRAME_SIZE: u32 = 6;
    pub(super) const REFUSED_STREAM: u32 = 7;
    pub(super) const COMPRESSION: u32 = 9;
    pub(super) const CALM: u32 = 11;
}

/// Reads what goes over one connection.
pub(crate) struct Http2Refusals {
    /// What is still to come of the preface.
    preface: &'static [u8],
    heads: FrameHeads,
    /// The frame of which a part is still to be sent.
    begun: Option<Head>,
    /// The content of a frame that may refuse something; of headers until their block is whole.
    content: Vec<u8>,
    statuses: Statuses,
    cut: BTreeSet<u32>,
}

/// The content is of replies.
impl fmt::Debug for Http2Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Refusals").finish_non_exhaustive()
    }
}

impl Http2Refusals {
    /// Of a connection on which nothing was said yet.
    pub(crate) fn new() -> Self {
        Self {
            preface: PREFACE,
            heads: FrameHeads::of_server(),
            begun: None,
            content: Vec::new(),
            statuses: Statuses::default(),
            cut: BTreeSet::new(),
        }
    }

    /// Takes in what was read, in pieces of any length; the reason in the audit where the connection begins as none may.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<&'static str> {
        let (expected, later) = self.preface.split_at(self.preface.len().min(bytes.len()));
        if bytes.starts_with(expected) {
            self.preface = later;
            return None;
        }
        // Once: the connection comes to its end with this.
        self.preface = &[];
        Some(VIOLATED)
    }

    /// Takes in what was sent, in pieces of any length, and calls `refused` with the reason in the audit of each refusal.
    pub(crate) fn sent(&mut self, mut bytes: &[u8], mut refused: impl FnMut(&'static str)) {
        while let Some(head) = self.begun.take().or_else(|| self.heads.take_head(&mut bytes)) {
            let content = self.heads.take_content(&mut bytes);
            if may_refuse(head) {
                self.content.extend_from_slice(content);
            }
            if !self.heads.is_whole() {
                self.begun = Some(head);
                return;
            }
            if let Some(reason) = self.reason(head) {
                refused(reason);
            }
        }
    }

    /// Why the frame that was sent refuses something, if it does.
    fn reason(&mut self, Head { length: _, kind, flags, stream }: Head) -> Option<&'static str> {
        let reason = match kind {
            kind::HEADERS | kind::CONTINUATION if flags & END_HEADERS == 0 => return None,
            kind::HEADERS | kind::CONTINUATION => self.statuses.is_cut(&self.content).then(|| self.cut(stream)),
            // Behind a 431 it only keeps the rest of the call away.
            kind::RESET if self.cut.remove(&stream) => None,
            kind::RESET => reset(code(&self.content, 0)),
            kind::GOAWAY => ended(&self.content),
            _ => None,
        };
        self.content.clear();
        self.content.shrink_to(KEPT_BYTES);
        reason
    }

    /// Notes that the headers of a call were cut.
    fn cut(&mut self, stream: u32) -> &'static str {
        self.cut.insert(stream);
        if self.cut.len() > CUT_MAX {
            self.cut.pop_first();
        }
        CUT
    }
}

/// Whether the content of a frame with this head is looked into.
fn may_refuse(head: Head) -> bool {
    matches!(head.kind, kind::HEADERS | kind::CONTINUATION | kind::RESET | kind::GOAWAY)
}

/// The error that stands here in a frame.
fn code(content: &[u8], at: usize) -> Option<u32> {
    content.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Why a call is reset, where that refuses it. One that is over here may get more from a peer that does not know yet.
fn reset(code: Option<u32>) -> Option<&'static str> {
    match code? {
        error::REFUSED_STREAM => Some(FULL),
        error::PROTOCOL | error::FLOW_CONTROL | error::FRAME_SIZE | error::COMPRESSION => Some(VIOLATED),
        error::CALM => Some(TOO_MUCH),
        _ => None,
    }
}

/// Why a connection is ended, where that refuses it. Behind the error it is said in words.
fn ended(content: &[u8]) -> Option<&'static str> {
    match code(content, 4)? {
        error::PROTOCOL | error::FLOW_CONTROL | error::STREAM_CLOSED | error::FRAME_SIZE | error::COMPRESSION => {
            Some(VIOLATED)
        }
        error::CALM if content.get(8..) == Some(FAR_TOO_LARGE) => Some(CUT),
        error::CALM => Some(TOO_MUCH),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
