//! Pure: what a walk through the newest segment means: torn or corrupt, kept or written again.

use std::ops::Range;

/// What was found in the newest segment, in stream order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Bad spots that intact batches follow.
    pub(crate) bad: Vec<Range<u64>>,
    /// Where the walk ended: nothing intact lies at or above.
    pub(crate) end: u64,
    /// There are traces of a batch at `end`.
    pub(crate) torn_at_end: bool,
    /// The highest mark in an intact batch header.
    pub(crate) mark: u64,
    /// The end record that completes a rewrite was seen, with nothing bad before it.
    pub(crate) completed: bool,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Everything below stays where it is; the fresh segment begins here.
    pub(crate) keep_below: u64,
    /// Batches from `keep_below` to here are written again; ≥ `keep_below`.
    pub(crate) rewrite_to: u64,
    pub(crate) corrupt: Vec<Range<u64>>,
    pub(crate) tail_cut_at: Option<u64>,
}

/// A rewrite is complete if its end record was reached, or if a mark says that it once was synced.
pub(crate) fn is_complete(base: u64, survey: &Survey) -> bool {
    survey.completed || survey.mark > base
}

/// LOG.md §7: a bad spot at or above the highest mark is a torn tail; below it, corruption.
pub(crate) fn judge(base: u64, survey: &Survey) -> Verdict {
    let mark = survey.mark.max(base);
    let mut corrupt: Vec<Range<u64>> = Vec::new();
    let mut tail_cut_at = None;
    for bad in &survey.bad {
        if bad.start < mark {
            corrupt.push(bad.start..bad.end.min(mark));
        }
        if bad.end > mark && tail_cut_at.is_none() {
            tail_cut_at = Some(bad.start.max(mark));
        }
    }
    if survey.end < mark {
        corrupt.push(survey.end..mark);
    }
    let end = survey.end.max(mark);
    if survey.torn_at_end && tail_cut_at.is_none() && survey.end >= mark {
        tail_cut_at = Some(end);
    }
    let rewrite_to = tail_cut_at.unwrap_or(end).min(end);
    Verdict {
        keep_below: mark,
        rewrite_to,
        corrupt,
        tail_cut_at,
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "one damaged range is the usual case"
)]
mod tests {
    use super::{Range, Survey, Verdict, is_complete, judge};

    fn survey(bad: &[Range<u64>], end: u64, mark: u64) -> Survey {
        Survey {
            bad: bad.to_vec(),
            end,
            mark,
            ..Survey::default()
        }
    }

    fn verdict(keep: u64, to: u64, corrupt: &[Range<u64>], cut: Option<u64>) -> Verdict {
        let corrupt = corrupt.to_vec();
        Verdict {
            keep_below: keep,
            rewrite_to: to,
            corrupt,
            tail_cut_at: cut,
        }
    }

    #[test]
    fn the_mark_tells_torn_from_corrupt() {
        let cases = [
            (survey(&[], 640, 512), verdict(512, 640, &[], None)),
            (
                survey(&[64..128], 640, 512),
                verdict(512, 640, &[64..128], None),
            ),
            (
                survey(&[512..576], 640, 512),
                verdict(512, 512, &[], Some(512)),
            ),
            (
                survey(&[576..640], 704, 512),
                verdict(512, 576, &[], Some(576)),
            ),
            (
                survey(&[448..576], 640, 512),
                verdict(512, 512, &[448..512], Some(512)),
            ),
            (survey(&[], 320, 512), verdict(512, 512, &[320..512], None)),
            (
                survey(&[576..640, 704..768], 832, 512),
                verdict(512, 576, &[], Some(576)),
            ),
            (survey(&[], 0, 0), verdict(0, 0, &[], None)),
        ];
        for (survey, expected) in cases {
            assert_eq!(judge(0, &survey), expected, "{survey:?}");
        }
    }

    #[test]
    fn a_header_is_a_mark_at_its_base() {
        assert_eq!(
            judge(128, &survey(&[], 128, 0)),
            verdict(128, 128, &[], None)
        );
        let torn = Survey {
            torn_at_end: true,
            ..survey(&[], 256, 128)
        };
        assert_eq!(judge(128, &torn), verdict(128, 256, &[], Some(256)));
    }

    #[test]
    fn a_rewrite_counts_when_it_ended_or_was_marked() {
        let ended = Survey {
            completed: true,
            ..survey(&[], 640, 64)
        };
        assert!(is_complete(64, &ended));
        assert!(is_complete(64, &survey(&[64..128], 640, 512)));
        assert!(!is_complete(64, &survey(&[64..128], 640, 64)));
    }
}
