//! Pure: which segments form the stream below the newest one.

use std::ops::Range;

use crate::layout::SegmentHeader;

/// The segments below the newest, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) members: Vec<Member>,
    /// Where the oldest segments should be and are not.
    pub(crate) missing: Option<Range<u64>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Into what was given.
    pub(crate) index: usize,
    /// The segment after it is missing; the next one that is there begins here.
    pub(crate) gap_to: Option<u64>,
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
        let gap_to = (found.number.get() != wanted).then_some(below);
        chain.members.push(Member { index, gap_to });
        (wanted, below) = (found.previous.get(), found.base.get());
    }
    chain.missing = (kept_from < below).then_some(kept_from..below);
    chain.members.reverse();
    chain
}

#[cfg(test)]
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

    type Expected = (Vec<(usize, Option<u64>)>, Option<Range<u64>>);

    fn chain(newest: &SegmentHeader, others: &[SegmentHeader]) -> Expected {
        let chain = chain_below(newest, others);
        let members = chain
            .members
            .iter()
            .map(|member| (member.index, member.gap_to));
        (members.collect(), chain.missing)
    }

    #[test]
    fn discarded_and_released_segments_are_left_out() {
        let others = [
            segment(1, 0, 0, 0),
            segment(2, 100, 1, 0),
            segment(3, 150, 2, 0),
            segment(4, 160, 3, 0),
        ];
        let both = vec![(0, None), (1, None)];
        assert_eq!(chain(&segment(5, 150, 2, 0), &others), (both, None));
        assert_eq!(
            chain(&segment(5, 150, 2, 100), &others),
            (vec![(1, None)], None)
        );
        assert_eq!(chain(&segment(5, 150, 2, 150), &others), (vec![], None));
        assert_eq!(chain(&segment(1, 0, 0, 0), &[]), (vec![], None));
    }

    #[test]
    fn a_missing_segment_is_seen() {
        let (one, three) = (segment(1, 0, 0, 0), segment(3, 200, 2, 0));
        let four = segment(4, 300, 3, 0);
        let gap_after_one = vec![(0, Some(200)), (1, None)];
        assert_eq!(chain(&four, &[one, three]), (gap_after_one, None));
        assert_eq!(chain(&four, &[one]), (vec![(0, Some(300))], None));
        assert_eq!(chain(&four, &[]), (vec![], Some(0..300)));
    }
}
