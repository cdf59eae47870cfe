//! The trace that a caller says its call belongs to: the `traceparent` header of W3C Trace Context. It is kept in the audit
//! and decides nothing; a header that is none is left out.

use kith_engine::TraceId;
use tonic::metadata::MetadataMap;

/// Version, trace, parent and flags of the first version, which later ones only add to.
const LENGTH: usize = 55;

/// The trace of a call.
pub(super) fn read(metadata: &MetadataMap) -> Option<TraceId> {
    parse(metadata.get("traceparent")?.as_encoded_bytes())
}

fn parse(header: &[u8]) -> Option<TraceId> {
    let (first, more) = header.split_at_checked(LENGTH)?;
    let (version, rest) = first.split_at_checked(2)?;
    let later = more.starts_with(b"-") && version != b"00";
    let lower = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let dashes = [0, 33, 50].into_iter().all(|at| rest.get(at) == Some(&b'-'));
    let (trace, parent, flags) = (rest.get(1..33)?, rest.get(34..50)?, rest.get(51..53)?);
    let whole = (more.is_empty() || later) && version != b"ff" && dashes;
    if !whole || ![version, trace, parent, flags].into_iter().all(lower) || parent.iter().all(|digit| *digit == b'0') {
        return None;
    }
    let mut id = [0; 16];
    hex::decode_to_slice(trace, &mut id).ok()?;
    (id != [0; 16]).then_some(TraceId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_from_a_whole_header_alone() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let id = TraceId(*b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36");
        assert_eq!(parse(good.as_bytes()), Some(id));
        assert_eq!(parse(format!("01{}-more", &good[2..]).as_bytes()), Some(id), "a later version may add to it");
        for bad in [
            String::new(),
            good[1..].to_owned(),
            format!("{good}0"),
            format!("{good}-more"),
            format!("ff{}", &good[2..]),
            format!("01{}more", &good[2..]),
            good.to_uppercase(),
            good.replace('-', "_"),
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good.replace("4bf9", "4bg9"),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
