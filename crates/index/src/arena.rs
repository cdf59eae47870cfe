//! Bytes of many small records, one after the other in pages that never move and never grow: nothing is copied when more
//! comes, and what is given back is of one size. What is forgotten leaves a gap; when gaps are a quarter of all, whoever
//! owns the arena copies what it needs into a new one.

/// A page with what the allocator keeps beside it takes 4 KiB. A larger record gets a page of its own.
const PAGE_BYTES: usize = 4_080;
/// Bits of a place that say where in a page a record begins.
const WITHIN_BITS: u32 = 12;
/// Gaps of fewer bytes than this are not worth a copy.
const FEW_BYTES: usize = 2_048;
/// Gaps are copied away when they are more than one part in so many.
const GAP_PART: usize = 4;
/// Bits of a length's byte; a further byte follows when the eighth is set.
const LENGTH_BITS: u32 = 7;

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// Records by place.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Vec<u8>>,
    used: usize,
    gaps: usize,
}

/// The bytes that tell a length, and how many.
fn head(mut length: usize) -> ([u8; 8], usize) {
    let (mut bytes, mut count) = ([0; 8], 1);
    while length >> LENGTH_BITS > 0 {
        bytes[count - 1] = (length & 0x7f) as u8 | 0x80;
        length >>= LENGTH_BITS;
        count += 1;
    }
    bytes[count - 1] = length as u8;
    (bytes, count)
}

impl Arena {
    /// Adds a record.
    pub(crate) fn add(&mut self, record: &[u8]) -> Place {
        let (head, head_bytes) = head(record.len());
        let bytes = head_bytes + record.len();
        if self.pages.last().is_none_or(|page| page.capacity() - page.len() < bytes) {
            self.pages.push(Vec::with_capacity(PAGE_BYTES.max(bytes)));
        }
        self.used += bytes;
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let place = number << WITHIN_BITS | page.len();
        page.extend_from_slice(&head[..head_bytes]);
        page.extend_from_slice(record);
        Place(u32::try_from(place).expect("an arena holds less than four gigabytes"))
    }

    /// The record at a place that [`Self::add`] has given and that was not forgotten.
    pub(crate) fn get(&self, Place(place): Place) -> &[u8] {
        let page = &self.pages[(place >> WITHIN_BITS) as usize];
        let mut at = place as usize & ((1 << WITHIN_BITS) - 1);
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = page[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += LENGTH_BITS;
            if byte < 0x80 {
                return &page[at..at + length];
            }
        }
    }

    /// Leaves a gap where a record was.
    pub(crate) fn forget(&mut self, place: Place) {
        let length = self.get(place).len();
        self.gaps += head(length).1 + length;
    }

    /// Bytes of records and gaps.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.used
    }

    /// Whether what is left should be copied into a new arena.
    pub(crate) fn is_gappy(&self) -> bool {
        self.gaps > FEW_BYTES && self.gaps > self.used / GAP_PART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_any_length_come_back() {
        let lengths = [0, 1, 127, 128, 300, PAGE_BYTES - 2, PAGE_BYTES, 70_000, 5, 16_383, 16_384, 9];
        let mut arena = Arena::default();
        let record = |n: usize| vec![n as u8; lengths[n % lengths.len()]];
        let places: Vec<Place> = (0..200).map(|n| arena.add(&record(n))).collect();
        for (n, place) in places.iter().enumerate() {
            assert_eq!(arena.get(*place), record(n), "record {n}");
        }
    }

    #[test]
    fn small_records_share_pages_that_are_never_enlarged() {
        let mut arena = Arena::default();
        for _ in 0..1_000 {
            arena.add(&[7; 40]);
        }
        assert_eq!(arena.pages.len(), 1_000_usize.div_ceil(PAGE_BYTES / 41));
        assert!(arena.pages.iter().all(|page| page.capacity() == PAGE_BYTES));
    }

    #[test]
    fn gaps_are_told_when_they_are_a_quarter() {
        let mut arena = Arena::default();
        let places: Vec<Place> = (0..1_000).map(|_| arena.add(&[7; 99])).collect();
        for (n, place) in places.iter().enumerate() {
            assert_eq!(arena.is_gappy(), n > 250, "after {n}");
            arena.forget(*place);
        }
    }
}
