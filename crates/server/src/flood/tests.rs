//! Tests of the frame counter, with time and bytes as arguments.

use super::*;

const PRIORITY: u8 = 2;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 200;

fn limits() -> Limits {
    Limits { pings_per_10s: 5, settings_per_10s: 3, resets_per_10s: 4, control_frames_per_10s: 7, ..Limits::default() }
}

fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
    let length = u32::try_from(payload).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    // What a frame carries looks like the head of a ping, and is none.
    bytes.extend([0, 0, 0, kind::PING].iter().cycle().take(payload));
    bytes
}

struct Reader {
    counter: FrameCounter,
    now: Instant,
}

impl Reader {
    fn new() -> Self {
        Self::of(&limits())
    }

    fn of(limits: &Limits) -> Self {
        let now = Instant::now();
        let mut counter = FrameCounter::new(limits, now);
        counter.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || now, || true).unwrap();
        Self { counter, now }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Shed> {
        self.counter.read(bytes, || self.now, || true).map(|handed_on| assert_eq!(handed_on, bytes.len()))
    }

    /// How many such frames pass until one does not, and why.
    fn until_shed(&mut self, frame: &[u8]) -> (usize, Shed) {
        for passed in 0..10_000 {
            if let Err(why) = self.read(frame) {
                return (passed, why);
            }
        }
        panic!("nothing was shed");
    }
}

#[test]
fn each_sort_of_frame_that_carries_nothing_has_its_budget() {
    for (kind, flags, payload, expected) in [
        (kind::PING, 0, 8, (5, Shed::Pings)),
        (kind::SETTINGS, 0, 6, (3, Shed::Settings)),
        (kind::SETTINGS, 0, 0, (3, Shed::Settings)),
        (kind::PING, flag::ACK, 8, (7, Shed::ControlFrames)),
        (kind::SETTINGS, flag::ACK, 0, (7, Shed::ControlFrames)),
        (kind::DATA, 0, 0, (7, Shed::ControlFrames)),
        (PRIORITY, 0, 5, (7, Shed::ControlFrames)),
        (kind::RESET, 0, 4, (4, Shed::ControlFrames)),
        (WINDOW_UPDATE, 0, 4, (7, Shed::ControlFrames)),
        (CONTINUATION, 0, 0, (7, Shed::ControlFrames)),
        (UNKNOWN, 0, 100, (7, Shed::ControlFrames)),
    ] {
        assert_eq!(Reader::new().until_shed(&frame(kind, flags, payload)), expected, "{kind} {flags} {payload}");
    }
}

#[test]
fn calls_and_what_they_carry_are_never_shed() {
    let mut reader = Reader::new();
    for _ in 0..10_000 {
        reader.read(&frame(kind::HEADERS, 4, 60)).unwrap();
        reader.read(&frame(kind::DATA, 0, 300)).unwrap();
        reader.read(&frame(kind::DATA, flag::END_STREAM, 0)).unwrap();
        // As a client that measures the network and tells of each part it took.
        reader.read(&frame(kind::PING, 0, 8)).unwrap();
        reader.read(&frame(WINDOW_UPDATE, 0, 4)).unwrap();
        reader.read(&frame(WINDOW_UPDATE, 0, 4)).unwrap();
    }
}

#[test]
fn calls_that_are_opened_and_reset_are_shed_however_few_at_a_time_and_whatever_they_are_sent() {
    let mut reader = Reader::new();
    for _ in 0..4 {
        reader.read(&frame(kind::HEADERS, 4, 60)).unwrap();
        reader.counter.sent(100_000);
        reader.read(&frame(kind::RESET, 0, 4)).unwrap();
    }
    reader.read(&frame(kind::HEADERS, 4, 60)).unwrap();
    assert_eq!(reader.until_shed(&frame(kind::RESET, 0, 4)), (0, Shed::ControlFrames));
    let mut reader = Reader::new();
    for _ in 0..1_000 {
        reader.now += Duration::from_secs(3);
        reader.read(&frame(kind::RESET, 0, 4)).expect("a reset every three seconds is within four in ten");
    }
}

#[test]
fn whoever_gives_up_every_call_of_a_connection_in_an_outage_keeps_it() {
    let limits = Limits::default();
    let mut reader = Reader::of(&limits);
    for _ in 0..400 {
        reader.now += Duration::from_millis(125);
        for _ in 0..limits.max_concurrent_streams {
            reader.read(&frame(kind::HEADERS, 4, 60)).unwrap();
            reader.read(&frame(kind::DATA, flag::END_STREAM, 300)).unwrap();
            reader.read(&frame(kind::RESET, 0, 4)).expect("all calls given up eight times a second are within it");
        }
    }
}

#[test]
fn what_is_sent_earns_window_updates_for_it() {
    let mut reader = Reader::new();
    for _ in 0..1_000 {
        reader.counter.sent(1_500);
        reader.counter.sent(548);
        reader.read(&frame(WINDOW_UPDATE, 0, 4)).unwrap();
        reader.read(&frame(WINDOW_UPDATE, 0, 4)).unwrap();
    }
    for _ in 0..10 {
        reader.counter.sent(100);
    }
    assert_eq!(reader.until_shed(&frame(WINDOW_UPDATE, 0, 4)).0, 7, "less than a KiB earns nothing");
}

#[test]
fn what_a_busy_hour_earned_is_no_licence_for_a_flood() {
    let mut reader = Reader::new();
    for _ in 0..100_000 {
        reader.read(&frame(kind::HEADERS, 5, 60)).unwrap();
        reader.counter.sent(100_000);
    }
    assert_eq!(reader.until_shed(&frame(kind::PING, 0, 8)), (5 * 16, Shed::Pings));
    let mut reader = Reader::new();
    for _ in 0..100_000 {
        reader.read(&frame(kind::HEADERS, 5, 60)).unwrap();
    }
    assert_eq!(reader.until_shed(&frame(kind::SETTINGS, 0, 0)), (3, Shed::Settings), "settings are never earned");
}

#[test]
fn ten_seconds_make_good_for_everything_and_less_does_not() {
    let ping = frame(kind::PING, 0, 8);
    let used_up_for = |time| {
        let mut reader = Reader::new();
        (0..5).for_each(|_| reader.read(&ping).unwrap());
        reader.now += time;
        reader.until_shed(&ping)
    };
    assert_eq!(used_up_for(WINDOW - Duration::from_millis(1)), (0, Shed::Pings));
    // The one that found the budget used up, and then a whole one.
    assert_eq!(used_up_for(WINDOW), (6, Shed::Pings));
    let mut reader = Reader::new();
    for _ in 0..1_000 {
        reader.now += Duration::from_secs(2);
        reader.read(&ping).expect("a ping every two seconds is within five in ten");
    }
}

#[test]
fn frames_in_pieces_of_any_length_are_counted_alike() {
    let frames: Vec<u8> = [
        frame(kind::HEADERS, 4, 60),
        frame(kind::PING, 0, 8),
        frame(kind::DATA, 0, 20),
        frame(kind::SETTINGS, 0, 12),
        frame(WINDOW_UPDATE, 0, 4),
    ]
    .concat();
    let left = |reader: &Reader| {
        let counter = &reader.counter;
        (counter.pings.left, counter.settings.left, counter.others.left, counter.heads.is_whole())
    };
    for piece in 1..frames.len() {
        let mut reader = Reader::new();
        frames.chunks(piece).for_each(|part| reader.read(part).unwrap());
        assert_eq!(left(&reader), (5 + 4 - 1, 3 - 1, 7 + 4 - 1, true), "pieces of {piece}");
    }
}

#[test]
fn the_preface_is_no_frame() {
    let now = Instant::now();
    let mut counter = FrameCounter::new(&limits(), now);
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        counter.read(&[*byte], || now, || true).unwrap();
    }
    assert_eq!((counter.heads.is_whole(), counter.others.left), (true, 7));
}

#[test]
fn the_longest_frame_is_skipped_whole() {
    let mut reader = Reader::new();
    let long = frame(kind::DATA, 0, (1 << 24) - 1);
    let (first, rest) = long.split_at(1 << 20);
    reader.read(first).unwrap();
    reader.read(rest).unwrap();
    assert_eq!(reader.until_shed(&frame(kind::PING, 0, 8)), (5, Shed::Pings));
}

/// Of a head that began in an earlier piece the rest is what comes again.
#[test]
fn what_is_read_stops_before_a_call_that_may_not_begin_and_goes_on_with_it() {
    let frames =
        [frame(kind::PING, 0, 8), frame(kind::HEADERS, 4, 60), frame(kind::DATA, 0, 30), frame(kind::HEADERS, 5, 9)];
    let heads = [17..26, 125..134];
    let sent = frames.concat();
    for piece in 1..=sent.len() {
        let (mut reader, mut at, mut stops, mut denied) = (Reader::new(), 0, Vec::new(), false);
        while at < sent.len() {
            let (bytes, now, mut stopped) = (&sent[at..sent.len().min(at + piece)], reader.now, false);
            let may_call = || {
                // Not when it is asked for the first time.
                denied = !denied;
                stopped = denied;
                !denied
            };
            at += reader.counter.read(bytes, || now, may_call).unwrap();
            stops.extend(stopped.then_some(at));
        }
        let are_before_heads = stops.iter().zip(&heads).all(|(stop, head)| head.contains(stop));
        assert!(stops.len() == heads.len() && are_before_heads, "pieces of {piece}: {stops:?}");
    }
}
