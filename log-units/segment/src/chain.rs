//! Pure: which segments form the stream below the newest one.

use std::ops::Range;

use crate::layout::SegmentHeader;

/// The segments below the newest, oldest first, as indices into what was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) members: Vec<usize>,
    /// Where a segment should be and is not.
    pub(crate) missing: Vec<Range<u64>>,
}

/// Follows `previous` from the newest segment down to what was released. Where a segment is
/// missing, the next lower number goes on; by S3 and S6 there is no other stream it could be of.
pub(crate) fn chain_below(newest: &SegmentHeader, others: &[SegmentHeader]) -> Chain {
    let mut chain = Chain::default();
    let (mut wanted, mut below) = (newest.previous.get(), newest.base.get());
    let kept_from = newest.kept_from.get();
    while wanted != 0 && below > kept_from {
        let candidates = others.iter().enumerate().filter(|(_, other)| {
            other.number.get() <= wanted && other.base.get() < below && other.limit() > kept_from
        });
        let Some((index, found)) = candidates.max_by_key(|(_, other)| other.number.get()) else {
            break;
        };
        if found.number.get() != wanted && found.limit() < below {
            chain.missing.push(found.limit()..below);
        }
        chain.members.push(index);
        (wanted, below) = (found.previous.get(), found.base.get());
    }
    if below > kept_from {
        chain.missing.push(kept_from..below);
    }
    chain.members.reverse();
    chain.missing.reverse();
    chain
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "one damaged range is the usual case"
)]
mod tests {
    use zerocopy::FromZeros;

    use super::{Range, SegmentHeader, chain_below};
    use crate::layout::DATA_AT;

    fn segment(number: u64, base: u64, previous: u64, kept_from: u64) -> SegmentHeader {
        let mut header = SegmentHeader::new_zeroed();
        header.number = number.into();
        header.base = base.into();
        header.previous = previous.into();
        header.kept_from = kept_from.into();
        header.file_bytes = (DATA_AT + 100).into();
        header
    }

    fn chain(newest: &SegmentHeader, others: &[SegmentHeader]) -> (Vec<usize>, Vec<Range<u64>>) {
        let chain = chain_below(newest, others);
        (chain.members, chain.missing)
    }

    #[test]
    fn discarded_and_released_segments_are_left_out() {
        let others = [
            segment(1, 0, 0, 0),
            segment(2, 100, 1, 0),
            segment(3, 150, 2, 0),
            segment(4, 160, 3, 0),
        ];
        assert_eq!(chain(&segment(5, 150, 2, 0), &others), (vec![0, 1], vec![]));
        assert_eq!(chain(&segment(5, 150, 2, 100), &others), (vec![1], vec![]));
        assert_eq!(chain(&segment(5, 150, 2, 150), &others), (vec![], vec![]));
        assert_eq!(chain(&segment(1, 0, 0, 0), &[]), (vec![], vec![]));
    }

    #[test]
    fn a_missing_segment_is_seen() {
        let (one, three, four) = (
            segment(1, 0, 0, 0),
            segment(3, 200, 2, 0),
            segment(4, 300, 3, 0),
        );
        assert_eq!(chain(&four, &[one, three]), (vec![0, 1], vec![100..200]));
        assert_eq!(chain(&four, &[one]), (vec![0], vec![100..300]));
        assert_eq!(chain(&four, &[]), (vec![], vec![0..300]));
    }
}
