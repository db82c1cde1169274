//! What a lane lacks of what was cut, and how frames of a peer take its place (LOG-U1, LOG-U7).

use dfs_wire::frame::Frame;

use super::{Bad, Held, Lane};

/// A part of a lane that others hold: it begins with the first chain given, and leads over known places
/// to the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) lane: u64,
    pub(crate) first_idx: u64,
    /// Before the first frame; not known where the lane was trimmed while this unit was away.
    pub(crate) chain: Option<u128>,
    /// (idx, chain) at ends of frames, rising, at least one: from cuts, or from what is held intact.
    pub(crate) anchors: Vec<(u64, u128)>,
    /// At the end of what is held, so an appender may still send it; else in the middle.
    pub(crate) is_tail: bool,
}

impl Want {
    pub(crate) fn until_idx(&self) -> u64 {
        self.anchors.last().map_or(self.first_idx, |(idx, _)| *idx)
    }
}

/// Where a fetched frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mends {
    /// At the end of what is held.
    Tail,
    /// In a damaged part.
    Middle,
    /// Nowhere: it is held by now, or was never missing.
    Nothing,
}

impl Lane {
    /// A lane whose note was lost may not have known how it begins.
    pub(crate) fn name(&mut self, stripe: u64, first_chain: u128) {
        self.stripe = Some(stripe);
        if self.begin_idx == 0 {
            self.begin_chain = Some(first_chain);
        }
    }

    /// The chain at an idx, if what lies before it is held, or was.
    pub(super) fn chain_at(&self, idx: u64) -> Option<u128> {
        if idx == self.begin_idx && self.begin_chain.is_some() {
            return self.begin_chain;
        }
        let held = self.frame_ending(idx).map(Held::chain_after);
        held.or_else(|| self.bad_chain(idx))
    }

    /// The chain after a damaged part.
    pub(super) fn bad_chain(&self, idx: u64) -> Option<u128> {
        self.bad.iter().find(|bad| bad.range.end == idx)?.chain
    }

    /// Parts that are missing or damaged, as far as the lane was cut and what belongs there is known.
    pub(crate) fn wants(&self, lane: u64) -> Vec<Want> {
        let bad = self.bad.iter().filter_map(|bad| {
            let known = bad.chain.map(|chain| (bad.range.end, chain));
            self.want(lane, bad.range.start, bad.range.end, known)
        });
        let staged_idx = self.staged_idx();
        let tail = self.want(lane, staged_idx, u64::MAX, None);
        let tail = tail.map(|want| Want {
            is_tail: true,
            ..want
        });
        bad.chain(tail).collect()
    }

    fn want(
        &self,
        lane: u64,
        first_idx: u64,
        end: u64,
        known: Option<(u64, u128)>,
    ) -> Option<Want> {
        let chain = self.chain_at(first_idx);
        if chain.is_none() && first_idx > self.begin_idx {
            return None;
        }
        let inside = |idx: u64| first_idx < idx && idx <= end;
        let points = self.points.iter().map(|point| (point.to_idx, point.chain));
        let mut anchors: Vec<_> = points.filter(|(idx, _)| inside(*idx)).collect();
        // What was never cut cannot be compared with anything, and nobody gives it.
        let cut = known.filter(|(idx, _)| *idx <= self.cut_idx);
        anchors.extend(cut.filter(|(idx, _)| anchors.last().is_none_or(|last| last.0 < *idx)));
        (!anchors.is_empty()).then_some(Want {
            lane,
            first_idx,
            chain,
            anchors,
            is_tail: false,
        })
    }

    /// Whether anything that was cut is missing or damaged here.
    pub(crate) fn is_behind(&self) -> bool {
        self.staged_idx() < self.cut_idx || !self.bad.is_empty()
    }

    /// Records that are missing or damaged.
    pub(crate) fn records_behind(&self) -> u64 {
        let bad = self.bad.iter().map(|bad| bad.range.end - bad.range.start);
        bad.sum::<u64>() + self.cut_idx.saturating_sub(self.staged_idx())
    }

    /// Where a frame that a peer gave, verified, is to be written.
    pub(crate) fn mends(&self, frame: &Frame) -> Mends {
        let (first_idx, end_idx) = (frame.header.first_idx, frame.end_idx());
        if first_idx == self.staged_idx() {
            return Mends::Tail;
        }
        let mut bad = self.bad.iter().map(|bad| &bad.range);
        match bad.any(|bad| bad.start <= first_idx && end_idx <= bad.end) {
            true => Mends::Middle,
            false => Mends::Nothing,
        }
    }

    /// Whether a frame goes on where a damaged part begins, and fits what is behind it (LOG-I1).
    pub(super) fn fills(&self, frame: &Frame) -> bool {
        let (first_idx, end_idx) = (frame.header.first_idx, frame.end_idx());
        let bad = self.bad.iter().find(|bad| bad.range.start == first_idx);
        let Some(Bad { range, chain }) = bad.filter(|bad| end_idx <= bad.range.end) else {
            return false;
        };
        if super::super::trail::trusts_peers() {
            return true;
        }
        let ends = chain.filter(|_| end_idx == range.end);
        let mut points = self.points.iter();
        let cut = points.find(|point| point.to_idx == end_idx);
        let before = self.chain_at(first_idx);
        // Where a trimmed lane begins the chain may not be known: what was cut vouches for it.
        let begins = first_idx == self.begin_idx && before.is_none();
        (begins || before == Some(frame.header.chain))
            && ends.is_none_or(|chain| chain == frame.chain_after())
            && cut.is_none_or(|cut| cut.chain == frame.chain_after())
    }

    /// LOG-I3: the frame is durable where `held` says. Only now is the place not damaged any more.
    pub(super) fn fill(&mut self, held: Held) {
        let at = self
            .frames
            .partition_point(|other| other.end_idx < held.end_idx);
        self.frames.insert(at, held);
        if let Some(bad) = self
            .bad
            .iter_mut()
            .find(|bad| bad.range.start == held.first_idx())
        {
            bad.range.start = held.end_idx;
        }
        self.bad.retain(|bad| !bad.range.is_empty());
        self.lossy &= !self.bad.is_empty();
        let rising = self.frames.is_sorted_by(|a, b| a.end_idx <= b.first_idx());
        assert!(rising, "LOG-I1: two frames at one place");
        self.agree();
    }

    /// A mended frame is durable. False when its place was filled or set aside meanwhile.
    pub(crate) fn mended(&mut self, frame: &Frame, position: u64) -> bool {
        let fills = self.fills(frame);
        if fills {
            self.fill(Held::at(frame, position));
        }
        fills
    }

    /// At open: a frame that does not go on from the one before it says that others lay between them,
    /// which took that one's place, and were lost. False: the frame is of no use either.
    pub(super) fn leads_to(&mut self, frame: &Frame) -> bool {
        let first_idx = frame.header.first_idx;
        let before = self.chain_at(first_idx);
        if before.is_none_or(|chain| chain == frame.header.chain) {
            return true;
        }
        if self.agreed_idx >= first_idx {
            return false;
        }
        self.forget(self.agreed_idx..first_idx);
        if let Some(bad) = self.bad.last_mut() {
            bad.chain = Some(frame.header.chain);
        }
        true
    }

    /// Cut, agreed and durably held: what may be given to others (LOG-U4).
    pub(crate) fn given_until(&self) -> u64 {
        self.agreed_idx.min(self.durable_idx)
    }

    /// The chain at the end of a cut, as far as own content agrees with what was cut.
    pub(crate) fn cut_chain(&self, idx: u64) -> Option<u128> {
        let agreed = idx <= self.given_until();
        self.frame_ending(idx)
            .filter(|_| agreed)
            .map(Held::chain_after)
    }

    /// Held without a gap from an idx on, up to the last that ends at or below `until_idx`.
    pub(crate) fn frames_from(&self, idx: u64, until_idx: u64) -> &[Held] {
        let begin = self.frames.partition_point(|held| held.end_idx <= idx);
        let damaged = self.bad.iter().map(|bad| bad.range.start);
        let damaged = damaged.filter(|start| *start >= idx).min();
        let until_idx = until_idx.min(damaged.unwrap_or(u64::MAX));
        let end = self
            .frames
            .partition_point(|held| held.end_idx <= until_idx);
        self.frames.get(begin..end.max(begin)).unwrap_or_default()
    }

    /// Frames that lie in a part of the stream that turned out damaged.
    pub(crate) fn frames_at(&self, positions: &std::ops::Range<u64>) -> Vec<Held> {
        let inside = |held: &&Held| held.position().is_some_and(|at| positions.contains(&at));
        self.frames.iter().filter(inside).copied().collect()
    }
}
