//! What a hostile client does on a connection, as frames. Each is legal or illegal HTTP/2 as RFC 9113 has it; none holds
//! anything of a person.

use std::fmt;
use std::str::FromStr;

/// Frames of one sort queued at once.
const REPEATED: usize = 200;
/// Calls opened and reset at once.
const RESETS: u64 = 50;
/// Bytes of one frame of headers without an end.
const HEADER_FRAME: usize = 16_000;

/// Deadline of most calls, in milliseconds: as long as may be.
const PATIENT_MS: u64 = 3_600_000;
/// Deadline of changes that nobody waits for, in milliseconds.
const HASTY_MS: u64 = 1;
/// Of the clients that change something one in so many waits for the answers: they tell whether anything is kept.
const ONE_WAITS_IN: usize = 4;

/// One way to be hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// Pings without an end.
    Pings,
    /// Changes of settings without an end.
    Settings,
    /// Priorities, window updates and unknown frames without an end.
    Control,
    /// Pieces of a request with nothing in them, without an end.
    Empty,
    /// Calls that are opened and reset at once.
    Resets,
    /// Headers without an end.
    Headers,
    /// Connections with a finished handshake on which nothing is asked.
    Connections,
    /// Connections that say nothing at all.
    Silent,
    /// Handshakes that are begun and not gone on with.
    Stalled,
    /// Calls whose replies are never taken: a window of nought.
    SlowReads,
    /// Calls whose replies are never read from the socket.
    Deaf,
    /// As many calls as the connection carries, all the time.
    Calls,
    /// As many check-ins as the connection carries, most with a deadline that passes before they are kept.
    Changes,
}

impl Attack {
    /// Every attack, with its name and how many clients do it.
    pub const ALL: [(Self, &'static str, usize); 13] = [
        (Self::Pings, "pings", 8),
        (Self::Settings, "settings", 8),
        (Self::Control, "control", 8),
        (Self::Empty, "empty", 8),
        (Self::Resets, "resets", 8),
        (Self::Headers, "headers", 8),
        (Self::Connections, "connections", 4_000),
        (Self::Silent, "silent", 500),
        (Self::Stalled, "stalled", 500),
        (Self::SlowReads, "slow-reads", 64),
        (Self::Deaf, "deaf", 16),
        (Self::Calls, "calls", 8),
        (Self::Changes, "changes", 8),
    ];

    /// How many clients do it.
    #[must_use]
    pub fn clients(self) -> usize {
        Self::ALL.iter().find(|(attack, ..)| *attack == self).map_or(0, |(.., clients)| *clients)
    }

    /// Whether it sends as much as is taken.
    #[must_use]
    pub fn is_flood(self) -> bool {
        match self {
            Self::Pings | Self::Settings | Self::Control | Self::Empty | Self::Resets | Self::Headers => true,
            Self::Connections
            | Self::Silent
            | Self::Stalled
            | Self::SlowReads
            | Self::Deaf
            | Self::Calls
            | Self::Changes => false,
        }
    }

    /// Whether it is one by the number of its connections alone.
    #[must_use]
    pub fn is_crowd(self) -> bool {
        matches!(self, Self::Connections | Self::Silent | Self::Stalled)
    }

    /// Whether it ever reads from its socket.
    #[must_use]
    pub fn reads(self) -> bool {
        !matches!(self, Self::Stalled | Self::Deaf)
    }

    /// Whether it comes so far that the server speaks HTTP/2 to it.
    #[must_use]
    pub fn shakes(self) -> bool {
        !matches!(self, Self::Silent | Self::Stalled)
    }

    /// Deadline of the calls of its client of this number, in milliseconds.
    #[must_use]
    pub fn timeout_ms(self, client: usize) -> u64 {
        if self == Self::Changes && !client.is_multiple_of(ONE_WAITS_IN) { HASTY_MS } else { PATIENT_MS }
    }

    /// Calls that are kept open on one connection.
    #[must_use]
    pub fn open_calls(self) -> usize {
        match self {
            Self::SlowReads | Self::Deaf | Self::Calls | Self::Changes => 100,
            Self::Pings
            | Self::Settings
            | Self::Control
            | Self::Empty
            | Self::Resets
            | Self::Headers
            | Self::Connections
            | Self::Silent
            | Self::Stalled => 0,
        }
    }

    /// Whether a server that defends itself may end it before it says anything: then nothing would show that the client was let in,
    /// so it waits for the server's first words.
    #[must_use]
    pub fn is_ended_unheard(self) -> bool {
        self == Self::Settings
    }

    /// What it sends again and again; nothing for those that send by calls.
    #[must_use]
    pub fn frames(self) -> Vec<u8> {
        match self {
            Self::Pings => frame(6, 0, 0, &[7; 8]).repeat(REPEATED),
            Self::Settings => frame(4, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(REPEATED),
            Self::Control => {
                [frame(2, 0, 1, &[0, 0, 0, 0, 15]), frame(8, 0, 0, &[0, 0, 0, 1]), frame(200, 0, 0, &[0; 8])]
                    .concat()
                    .repeat(REPEATED / 3)
            }
            Self::Empty => frame(0, 0, 1, &[]).repeat(REPEATED),
            Self::Headers => {
                let field = [&[0, 1, b'x', 127, 0x81, 0x7c][..], &[b'y'; HEADER_FRAME]].concat();
                frame(9, 0, 1, &field)
            }
            Self::Resets
            | Self::Connections
            | Self::Silent
            | Self::Stalled
            | Self::SlowReads
            | Self::Deaf
            | Self::Calls
            | Self::Changes => Vec::new(),
        }
    }

    /// What it sends once, after the usual beginning of a connection.
    #[must_use]
    pub fn beginning(self) -> Vec<u8> {
        match self {
            // The head of a call that goes on in the next frame: POST, https, and a path.
            Self::Headers => frame(1, 0, 1, &[0x83, 0x87, 0x84]),
            Self::SlowReads => frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]),
            Self::Deaf => {
                let wide = (i32::MAX as u32).to_be_bytes();
                frame(4, 0, 0, &[&[0, 4][..], &wide].concat())
            }
            Self::Pings
            | Self::Settings
            | Self::Control
            | Self::Empty
            | Self::Resets
            | Self::Connections
            | Self::Silent
            | Self::Stalled
            | Self::Calls
            | Self::Changes => Vec::new(),
        }
    }

    /// Calls that are opened and reset in one go.
    #[must_use]
    pub fn resets(self) -> u64 {
        if self == Self::Resets { RESETS } else { 0 }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(attack, ..)| attack == self).map_or("", |(_, name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(attack, ..)| *attack).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name, _)| *name).collect();
            format!("expected one of {}, found {text}", names.join(", "))
        })
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[length[1], length[2], length[3], kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (attack, name, clients) in Attack::ALL {
            assert_eq!((name.parse(), attack.to_string(), attack.clients()), (Ok(attack), name.to_owned(), clients));
        }
        assert!("ping".parse::<Attack>().is_err());
    }

    #[test]
    fn of_those_that_change_something_most_wait_for_nothing_and_the_first_waits() {
        for (attack, ..) in Attack::ALL {
            let hasty = (0..8).filter(|client| attack.timeout_ms(*client) == HASTY_MS).count();
            assert_eq!(hasty, if attack == Attack::Changes { 6 } else { 0 }, "{attack}");
            assert_eq!(attack.timeout_ms(0), PATIENT_MS, "{attack}");
        }
    }

    #[test]
    fn every_flood_is_whole_frames() {
        for (attack, ..) in Attack::ALL {
            for bytes in [attack.frames(), attack.beginning()] {
                let mut rest = bytes.as_slice();
                while let Some((head, after)) = rest.split_first_chunk::<9>() {
                    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                    assert!(length <= 16_384, "{attack}: a frame longer than anybody takes");
                    rest = after.get(length..).unwrap_or_else(|| panic!("{attack}: a frame cut short"));
                }
                assert!(rest.is_empty(), "{attack}");
            }
            assert_eq!(attack.is_flood(), !attack.frames().is_empty() || attack.resets() > 0, "{attack}");
        }
    }

    #[test]
    fn a_header_says_its_own_length() {
        let frame = Attack::Headers.frames();
        let field = &frame[9..];
        // A literal without a place in the table: a name of one, and a value in the form of seven bits and more.
        assert_eq!(&field[..3], &[0, 1, b'x']);
        let more = usize::from(field[4] & 127) | usize::from(field[5]) << 7;
        assert_eq!((field[3], 127 + more, field.len() - 6), (127, HEADER_FRAME, HEADER_FRAME));
    }
}
