//! The heads of HTTP/2 frames (RFC 9113, section 4.1), of what one side of a connection sends, in pieces of any length. Never holds a
//! byte back: what a frame carries is handed on as it comes, or passed over.

/// What a client begins every connection with, before its first frame.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, kind, flags, stream.
const HEAD_BYTES: usize = 9;

/// The first bit of the number of a stream says nothing.
const STREAM: u32 = 0x7fff_ffff;

/// The kinds of frames that are told apart here.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RESET: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes that the frame carries.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

/// Finds the heads in what one side sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHeads {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have come.
    of_head: usize,
    /// Bytes until the next head.
    left: usize,
}

impl FrameHeads {
    /// Of a client that has sent nothing yet, its preface included.
    pub(crate) fn of_client() -> Self {
        Self { head: [0; HEAD_BYTES], of_head: 0, left: PREFACE.len() }
    }

    /// Of a server that has sent nothing yet.
    pub(crate) fn of_server() -> Self {
        Self { head: [0; HEAD_BYTES], of_head: 0, left: 0 }
    }

    /// Takes what is here of the content of the frame whose head was taken last.
    pub(crate) fn take_content<'a>(&mut self, bytes: &mut &'a [u8]) -> &'a [u8] {
        let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
        self.left -= content.len();
        *bytes = rest;
        content
    }

    /// Takes the next head, and passes over what is still before it; nothing where these bytes end before it does.
    pub(crate) fn take_head(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        self.take_content(bytes);
        let room = self.head.get_mut(self.of_head..).unwrap_or_default();
        let (here, rest) = bytes.split_at(room.len().min(bytes.len()));
        for (to, from) in room.iter_mut().zip(here) {
            *to = *from;
        }
        *bytes = rest;
        self.of_head += here.len();
        if self.of_head < HEAD_BYTES {
            return None;
        }
        self.of_head = 0;
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        self.left = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        Some(Head { length: self.left, kind, flags, stream: u32::from_be_bytes(stream) & STREAM })
    }

    /// Whether nothing is missing of the frame that has begun, or of the preface.
    pub(crate) fn is_whole(&self) -> bool {
        self.left == 0 && self.of_head == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [(Head, &[u8]); 4] = [
        (Head { length: 3, kind: kind::HEADERS, flags: 4, stream: 1 }, b"abc"),
        (Head { length: 0, kind: kind::SETTINGS, flags: 1, stream: 0 }, b""),
        (
            Head { length: 20, kind: kind::DATA, flags: 1, stream: STREAM },
            b"\0\0\0\x06\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0",
        ),
        (Head { length: 1, kind: 200, flags: 0xff, stream: 7 }, b"x"),
    ];

    fn written((head, content): &(Head, &[u8])) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[..], &[head.kind, head.flags], &head.stream.to_be_bytes(), *content].concat()
    }

    fn all() -> Vec<u8> {
        SENT.iter().flat_map(written).collect()
    }

    /// The heads in these bytes, in pieces of this length, with all that was handed on behind each.
    fn read(mut heads: FrameHeads, bytes: &[u8], piece: usize) -> Vec<(Head, Vec<u8>)> {
        let mut found: Vec<(Head, Vec<u8>)> = Vec::new();
        for mut part in bytes.chunks(piece) {
            if let Some((_, content)) = found.last_mut() {
                content.extend(heads.take_content(&mut part));
            }
            while let Some(head) = heads.take_head(&mut part) {
                found.push((head, heads.take_content(&mut part).to_vec()));
            }
            assert!(part.is_empty(), "all of it is taken");
        }
        assert!(heads.is_whole());
        found
    }

    #[test]
    fn heads_and_what_is_behind_them_are_found_in_pieces_of_any_length() {
        let sent: Vec<_> = SENT.iter().map(|(head, content)| (*head, content.to_vec())).collect();
        for piece in 1..=all().len() {
            assert_eq!(read(FrameHeads::of_server(), &all(), piece), sent, "pieces of {piece}");
        }
    }

    #[test]
    fn the_preface_and_what_nobody_takes_are_passed_over() {
        let bytes = [PREFACE, all().as_slice()].concat();
        for piece in 1..=bytes.len() {
            let (mut heads, mut found) = (FrameHeads::of_client(), Vec::new());
            for mut part in bytes.chunks(piece) {
                while let Some(head) = heads.take_head(&mut part) {
                    found.push(head);
                }
            }
            assert_eq!(found, SENT.map(|(head, _)| head), "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_missing_is_known() {
        let bytes = all();
        let ends: Vec<usize> =
            (1..=SENT.len()).map(|count| SENT.iter().take(count).flat_map(written).count()).collect();
        for at in 1..=bytes.len() {
            let mut heads = FrameHeads::of_server();
            let mut part = &bytes[..at];
            while heads.take_head(&mut part).is_some() {}
            assert_eq!(heads.is_whole(), ends.contains(&at), "{at} bytes");
        }
        assert!(FrameHeads::of_server().is_whole() && !FrameHeads::of_client().is_whole());
    }

    #[test]
    fn the_longest_length_and_the_bit_that_says_nothing_are_read() {
        let mut bytes = &[0xff, 0xff, 0xff, kind::PING, 0, 0x80, 0, 0, 3][..];
        let head = Head { length: (1 << 24) - 1, kind: kind::PING, flags: 0, stream: 3 };
        assert_eq!(FrameHeads::of_server().take_head(&mut bytes), Some(head));
    }
}
