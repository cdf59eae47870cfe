//! Fills a response to a fixed step of bytes, so that its length does not tell who watches the network whether anything
//! was found. What is longer than a step gets the next one: the length then tells how many steps, and nothing finer.

use crate::v1;
use prost::Message;
use prost::bytes::Bytes;

/// Longest step: a longer one would only cost.
pub const MAX_STEP_BYTES: usize = 64 << 10;

/// Where padding comes from; a message holds a view of it.
static ZEROS: [u8; MAX_STEP_BYTES] = [0; MAX_STEP_BYTES];

/// A message with room for padding.
pub trait Padded: Message {
    /// The padding.
    fn padding(&mut self) -> &mut Bytes;

    /// Fills the message to the next whole number of steps of `step` bytes, at most [`MAX_STEP_BYTES`]; nought leaves it
    /// as it is.
    #[must_use]
    fn padded(mut self, step: usize) -> Self
    where
        Self: Sized,
    {
        let step = step.min(MAX_STEP_BYTES);
        if step > 0 {
            let zeros = zeros_to_add(self.encoded_len(), step).min(MAX_STEP_BYTES);
            *self.padding() = Bytes::from_static(&ZEROS).slice(..zeros);
        }
        self
    }
}

/// How many zeros fill `length` up, beside what it takes to say how many they are. A gap that no padding fills is left to
/// the next step.
fn zeros_to_add(length: usize, step: usize) -> usize {
    let mut gap = length.next_multiple_of(step) - length;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of_length(words: usize) -> v1::LookupResponse {
        let answer = v1::Answer { audit_reference: "x".repeat(words), ..v1::Answer::default() };
        v1::LookupResponse { answer: Some(answer), ..v1::LookupResponse::default() }
    }

    #[test]
    fn every_length_is_filled_to_whole_steps_and_never_by_a_step_too_many() {
        for step in [16, 256, 1024, MAX_STEP_BYTES] {
            for words in 0..3_000 {
                let before = of_length(words).encoded_len();
                let after = of_length(words).padded(step).encoded_len();
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
        let filled = of_length(700).padded(1024);
        let mut read = v1::LookupResponse::decode(filled.encode_to_vec().as_slice()).unwrap();
        assert!(read.padding.iter().all(|byte| *byte == 0) && !read.padding.is_empty());
        read.padding.clear();
        assert_eq!(read, of_length(700));
    }

    #[test]
    fn a_step_of_nought_adds_nothing() {
        assert_eq!(of_length(700).padded(0), of_length(700));
    }
}
