//! Which LSNs lie where: stamped runs of lanes, and the LSN ranges for which this unit knows them all.

use std::ops::Range;

/// Records of one lane that one cut gave LSNs: 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first_lsn: u64,
    pub(crate) lane: u64,
    pub(crate) from_idx: u64,
    pub(crate) cut_seq: u64,
    pub(crate) log_time_us: u64,
    pub(crate) count: u32,
}
const _: () = assert!(size_of::<Run>() == 48);

impl Run {
    pub(crate) fn end_lsn(&self) -> u64 {
        self.first_lsn + u64::from(self.count)
    }

    pub(crate) fn end_idx(&self) -> u64 {
        self.from_idx + u64::from(self.count)
    }
}

/// Runs in rising LSN order, and coverage: what is not covered is unknown here, not absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    /// Disjoint, rising; a cut that touches no lane of this unit covers its LSNs too.
    covered: Vec<Range<u64>>,
}

impl Runs {
    /// All that a contiguous series of cuts over `lsns` says about this unit. A range that is known
    /// already changes nothing.
    pub(crate) fn learn(&mut self, lsns: Range<u64>, runs: &[Run]) {
        let at = self.runs.partition_point(|run| run.first_lsn < lsns.start);
        let known = self
            .covered
            .iter()
            .any(|c| c.start <= lsns.start && lsns.end <= c.end);
        if known || lsns.is_empty() {
            return;
        }
        let end = self.runs.partition_point(|run| run.first_lsn < lsns.end);
        self.runs.splice(at..end, runs.iter().copied());
        self.covered.push(lsns);
        self.join();
    }

    fn join(&mut self) {
        let before_last = self.covered.len().wrapping_sub(2);
        if let Some([before, last]) = self.covered.get_mut(before_last..)
            && (before.start..=before.end).contains(&last.start)
        {
            before.end = before.end.max(last.end);
            self.covered.pop();
            return;
        }
        self.covered.sort_by_key(|range| range.start);
        self.covered.dedup_by(|next, before| {
            let joined = next.start <= before.end;
            if joined {
                before.end = before.end.max(next.end);
            }
            joined
        });
    }

    /// Forgets what ends at or below `lsn`.
    pub(crate) fn trim(&mut self, lsn: u64) {
        let gone = self.runs.partition_point(|run| run.end_lsn() <= lsn);
        self.runs.drain(..gone);
        self.covered.retain(|covered| covered.end > lsn);
    }

    /// The end of the covered range that holds `lsn`.
    pub(crate) fn covered_until(&self, lsn: u64) -> Option<u64> {
        self.covered
            .iter()
            .find(|range| range.contains(&lsn))
            .map(|range| range.end)
    }

    /// The first part of a range of which nothing is known.
    pub(crate) fn first_uncovered(&self, lsns: Range<u64>) -> Option<Range<u64>> {
        let mut start = lsns.start;
        for covered in &self.covered {
            if covered.start > start {
                break;
            }
            start = start.max(covered.end);
        }
        let next = self.covered.iter().map(|covered| covered.start);
        let end = next.filter(|at| *at > start).min();
        let end = end.unwrap_or(lsns.end).min(lsns.end);
        (start < end).then_some(start..end)
    }

    /// The runs that end above `lsn`, in order.
    pub(crate) fn from(&self, lsn: u64) -> &[Run] {
        let at = self.runs.partition_point(|run| run.end_lsn() <= lsn);
        self.runs.get(at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first_lsn: u64, lane: u64, count: u32) -> Run {
        Run {
            first_lsn,
            lane,
            from_idx: 0,
            cut_seq: 1,
            log_time_us: 1,
            count,
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut runs = Runs::default();
        runs.learn(1..11, &[run(1, 7, 10)]);
        runs.learn(20..30, &[run(20, 7, 10)]);
        assert_eq!(runs.covered_until(10), Some(11));
        assert_eq!(runs.covered_until(11), None);
        assert_eq!(runs.first_uncovered(1..40), Some(11..20));
        assert_eq!(runs.first_uncovered(25..40), Some(30..40));
        assert_eq!(runs.first_uncovered(2..9), None);
        runs.learn(11..20, &[run(12, 7, 3)]);
        assert_eq!(runs.covered_until(1), Some(30));
        let lsns: Vec<u64> = runs.from(11).iter().map(|run| run.first_lsn).collect();
        assert_eq!(lsns, [12, 20]);
    }

    #[test]
    fn a_range_heard_again_changes_nothing() {
        let mut runs = Runs::default();
        runs.learn(1..11, &[run(1, 7, 10)]);
        runs.learn(1..11, &[]);
        assert_eq!(runs.from(1).len(), 1);
    }

    #[test]
    fn a_run_is_found_by_every_lsn_inside() {
        let mut runs = Runs::default();
        runs.learn(5..15, &[run(5, 7, 4), run(9, 8, 6)]);
        assert_eq!(runs.from(8)[0].lane, 7);
        assert_eq!(runs.from(9)[0].lane, 8);
        assert!(runs.from(15).is_empty());
    }
}
