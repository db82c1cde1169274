//! Where a lane begins: what lies below was trimmed, and is not missed any more (LOG.md §8).

use super::{Agrees, Bad, Held, Lane};

impl Lane {
    /// The chain before `idx`, if it can be told.
    pub(crate) fn begin_chain_at(&self, idx: u64) -> Option<u128> {
        let point = self.points.iter().find(|point| point.to_idx == idx);
        self.chain_at(idx).or(point.map(|point| point.chain))
    }

    /// Forgets what lies below `idx`, the end of a cut: all of it is trimmed. Whether what is left still
    /// agrees with the cuts.
    pub(crate) fn trim(&mut self, idx: u64, chain: Option<u128>) -> Agrees {
        if idx <= self.begin_idx {
            return Agrees::Yes;
        }
        (self.begin_idx, self.begin_chain) = (idx, chain);
        self.frames.retain(|held| held.first_idx() >= idx);
        self.points.retain(|point| point.to_idx > idx);
        for point in &mut self.points {
            point.from_idx = point.from_idx.max(idx);
        }
        for bad in &mut self.bad {
            bad.range.start = bad.range.start.max(idx);
        }
        self.bad.retain(|bad| bad.range.start < bad.range.end);
        self.miss_the_begin();
        for known in [
            &mut self.durable_idx,
            &mut self.agreed_idx,
            &mut self.cut_idx,
        ] {
            *known = (*known).max(idx);
        }
        self.lossy &= !self.bad.is_empty();
        match self.agree() {
            true => Agrees::Yes,
            false => Agrees::SetAside,
        }
    }

    /// A frame across the begin was none of this lane: what lies behind it is missing.
    fn miss_the_begin(&mut self) {
        let idx = self.begin_idx;
        let Some(first) = self.frames.first().map(Held::first_idx) else {
            return;
        };
        let is_bad = self.bad.first().is_some_and(|bad| bad.range.start <= idx);
        if first > idx && !is_bad {
            let bad = Bad {
                range: idx..first,
                chain: None,
            };
            self.bad.insert(0, bad);
        }
    }

    /// Whether what lies right before `idx` is missing or damaged here.
    pub(crate) fn lacks_before(&self, idx: u64) -> bool {
        idx > self.staged_idx() || (idx > 0 && self.bad_range(idx - 1).is_some())
    }

    /// All that was ever cut of it is trimmed.
    pub(crate) fn is_over(&self) -> bool {
        self.sealed.is_some_and(|length| length <= self.begin_idx)
    }

    /// The lowest place in the stream where a frame of it lies.
    pub(crate) fn lowest_position(&self) -> Option<u64> {
        self.frames.iter().filter_map(Held::position).min()
    }
}
