//! Fills a response to a fixed step of bytes, and to a least number of steps, so that its length does not tell who watches
//! the network whether anything was found. What is longer gets the next step: the length then tells how many steps, and
//! nothing finer.

use crate::v1;
use prost::Message;
use prost::bytes::Bytes;

/// Longest step, and longest least length: more would only cost.
pub const MAX_STEP_BYTES: usize = 64 << 10;

/// Where padding comes from; a message holds a view of it.
static ZEROS: [u8; MAX_STEP_BYTES] = [0; MAX_STEP_BYTES];

/// What messages are filled up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of a step, at most [`MAX_STEP_BYTES`]; nought leaves messages as they are.
    pub step: usize,
    /// Steps that every message has at least; together at most [`MAX_STEP_BYTES`].
    pub min_steps: usize,
}

/// A message with room for padding.
pub trait Padded: Message {
    /// The padding.
    fn padding(&mut self) -> &mut Bytes;

    /// Fills the message to the next whole number of steps, or to the least.
    #[must_use]
    fn padded(mut self, fill: Fill) -> Self
    where
        Self: Sized,
    {
        let step = fill.step.min(MAX_STEP_BYTES);
        if step > 0 {
            let least = step.saturating_mul(fill.min_steps).min(MAX_STEP_BYTES);
            let zeros = zeros_to_add(self.encoded_len(), step, least).min(MAX_STEP_BYTES);
            *self.padding() = Bytes::from_static(&ZEROS).slice(..zeros);
        }
        self
    }
}

/// How many zeros fill `length` up, beside what it takes to say how many they are. A gap that no padding fills is left to
/// the next step.
fn zeros_to_add(length: usize, step: usize, least: usize) -> usize {
    let mut gap = length.next_multiple_of(step).max(least) - length;
    while gap > 0 {
        // A tag of one byte, and the number of zeros in one to three.
        let fits = |zeros: &usize| 1 + prost::length_delimiter_len(*zeros) + zeros == gap;
        if let Some(zeros) =
            (2..=4).filter_map(|beside| gap.checked_sub(beside)).find(|zeros| *zeros > 0 && fits(zeros))
        {
            return zeros;
        }
        gap += step;
    }
    0
}

impl Padded for v1::LookupResponse {
    fn padding(&mut self) -> &mut Bytes {
        &mut self.padding
    }
}

impl Padded for v1::CheckInResponse {
    fn padding(&mut self) -> &mut Bytes {
        &mut self.padding
    }
}

impl Padded for v1::LookupManyResponse {
    fn padding(&mut self) -> &mut Bytes {
        &mut self.padding
    }
}

impl Padded for v1::OpenShieldedResponse {
    fn padding(&mut self) -> &mut Bytes {
        &mut self.padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_of(step: usize) -> Fill {
        Fill { step, min_steps: 0 }
    }

    fn of_length(words: usize) -> v1::LookupResponse {
        let answer = v1::Answer { audit_reference: "x".repeat(words), ..v1::Answer::default() };
        v1::LookupResponse { answer: Some(answer), ..v1::LookupResponse::default() }
    }

    #[test]
    fn every_length_is_filled_to_whole_steps_and_never_by_a_step_too_many() {
        for step in [16, 256, 1024, MAX_STEP_BYTES] {
            for words in 0..3_000 {
                let before = of_length(words).encoded_len();
                let after = of_length(words).padded(steps_of(step)).encoded_len();
                assert_eq!(after % step, 0, "{before} bytes to steps of {step}");
                let next = before.next_multiple_of(step);
                // No padding is as long as these with what it takes to say how long it is.
                let unfillable = [1, 2, 130, 16_387].contains(&(next - before));
                assert!(
                    after == next || (unfillable && after > next && after < next + 131 + step),
                    "{before}: {after}"
                );
            }
        }
    }

    #[test]
    fn what_is_filled_up_reads_as_before() {
        let filled = of_length(700).padded(steps_of(1024));
        let mut read = v1::LookupResponse::decode(filled.encode_to_vec().as_slice()).unwrap();
        assert!(read.padding.iter().all(|byte| *byte == 0) && !read.padding.is_empty());
        read.padding.clear();
        assert_eq!(read, of_length(700));
    }

    #[test]
    fn a_step_of_nought_adds_nothing() {
        assert_eq!(of_length(700).padded(steps_of(0)), of_length(700));
        assert_eq!(of_length(700).padded(Fill { step: 0, min_steps: 4 }), of_length(700));
    }

    #[test]
    fn what_has_fewer_steps_than_the_least_is_filled_to_the_least() {
        let fill = Fill { step: 1024, min_steps: 4 };
        for words in 0..6_000 {
            let before = of_length(words).encoded_len();
            let after = of_length(words).padded(fill).encoded_len();
            assert_eq!(after % fill.step, 0);
            let wanted = before.next_multiple_of(1024).max(4096);
            let unfillable = [1, 2, 130].contains(&(wanted - before));
            assert_eq!(after, if unfillable { wanted + 1024 } else { wanted }, "{before}");
        }
    }
}
