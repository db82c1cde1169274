//! One lane as this unit holds it: an index of its frames, and how far they are staged, durable and agreed.

mod begin;
mod mend;

use std::collections::VecDeque;
use std::ops::Range;

use dfs_wire::Tag;
use dfs_wire::frame::Frame;

pub(crate) use mend::{Mends, Want};

/// Cuts that a lane may wait for before the last two are joined: a unit that lags further than this
/// only learns later that it agrees.
const POINTS_MAX: usize = 1024;
/// A frame that has been staged and not yet written lies nowhere.
const NOWHERE: u64 = u64::MAX;

/// A frame in the index: 48 bytes, whatever the frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    end_idx: u64,
    /// The chain after it, in halves, so that this struct is 8-aligned.
    chain: [u64; 2],
    position: u64,
    tag_filter: u64,
    len: u32,
    count: u32,
}
const _: () = assert!(size_of::<Held>() == 48);

impl Held {
    /// Of a frame that lies at `position` of the log stream.
    pub(crate) fn at(frame: &Frame, position: u64) -> Held {
        let chain = frame.chain_after();
        Held {
            end_idx: frame.end_idx(),
            chain: [(chain >> 64) as u64, chain as u64],
            position,
            tag_filter: tag_filter(&frame.header.tags),
            len: frame.bytes().len() as u32,
            count: frame.header.count,
        }
    }

    pub(crate) fn staged(frame: &Frame) -> Held {
        Held::at(frame, NOWHERE)
    }

    pub(crate) fn first_idx(&self) -> u64 {
        self.end_idx - u64::from(self.count)
    }

    pub(crate) fn end_idx(&self) -> u64 {
        self.end_idx
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn chain_after(&self) -> u128 {
        (u128::from(self.chain[0]) << 64) | u128::from(self.chain[1])
    }

    /// Where it lies, once it is written.
    pub(crate) fn position(&self) -> Option<u64> {
        (self.position != NOWHERE).then_some(self.position)
    }

    /// False: the frame surely has none of the tags of `filter`.
    pub(crate) fn may_have(&self, filter: u64) -> bool {
        self.tag_filter & filter != 0
    }
}

/// One bit of 64 for each tag; enough to pass over most frames without reading them.
pub(crate) fn tag_filter(tags: &[Tag]) -> u64 {
    tags.iter().fold(0, |bits, tag| {
        bits | 1 << (tag.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
    })
}

/// A length that a cut gave the lane, not yet durably held and agreed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    from_idx: u64,
    to_idx: u64,
    chain: u128,
    /// The first and the last cut that it stands for: they differ where points were joined.
    first_cut_seq: u64,
    last_cut_seq: u64,
}

/// What was held once, or has to be, and is damaged or missing in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bad {
    range: Range<u64>,
    /// After its last frame, where that is known: what fills the place has to lead there.
    chain: Option<u128>,
}

/// What became of a frame that was sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// New: write it.
    Taken,
    /// The same bytes are held already.
    Duplicate,
    /// LOG-U1: not contiguous; this idx is expected.
    Gap { expected_idx: u64 },
    /// LOG-I1: other bytes are held here or were cut.
    Differs,
    /// LOG-I6: beyond the final length.
    Sealed { final_length: u64 },
}

/// Whether own content equals what was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agrees {
    Yes,
    /// It did not, and was set aside (LOG-U4).
    SetAside,
    /// The cut contradicts an earlier one: the log went back (LOG-U9).
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// Unknown only when its note was lost and the sequencer has not named it again.
    pub(crate) stripe: Option<u64>,
    /// What lies below is trimmed.
    begin_idx: u64,
    /// Before it, if that is known.
    begin_chain: Option<u128>,
    /// Rising; with gaps only where `bad` says so.
    frames: Vec<Held>,
    /// Rising, apart from each other.
    bad: Vec<Bad>,
    /// Frames that end at or below are synced.
    durable_idx: u64,
    /// What the cuts say, heard here.
    cut_idx: u64,
    /// The chain at `cut_idx`, once a cut or Base has told it.
    cut_chain: Option<u128>,
    /// LOG-U4: own content equals what was cut, below here.
    agreed_idx: u64,
    points: VecDeque<Point>,
    sealed: Option<u64>,
    /// Damage was found at open: nothing above it counts until it is repaired (LOG-D1).
    lossy: bool,
    /// All the cuts that the sequencer still holds have been heard.
    based: bool,
    /// A cut length that this unit could not show when it was asked.
    missing_until: u64,
    /// Frame ends up to here were told to the sequencer on the present connection.
    pub(crate) reported_idx: u64,
}

impl Lane {
    pub(crate) fn new(stripe: Option<u64>, first_chain: u128) -> Lane {
        Lane {
            stripe,
            begin_idx: 0,
            begin_chain: Some(first_chain),
            frames: Vec::new(),
            bad: Vec::new(),
            durable_idx: 0,
            cut_idx: 0,
            cut_chain: None,
            agreed_idx: 0,
            points: VecDeque::new(),
            sealed: None,
            lossy: false,
            based: false,
            missing_until: 0,
            reported_idx: 0,
        }
    }

    /// The end of all that is staged: the idx expected next.
    pub(crate) fn staged_idx(&self) -> u64 {
        let bad = self.bad.last().map_or(0, |bad| bad.range.end);
        let held = self
            .frames
            .last()
            .map_or(self.begin_idx, |held| held.end_idx);
        held.max(bad)
    }

    pub(crate) fn begin_idx(&self) -> u64 {
        self.begin_idx
    }

    pub(crate) fn durable_idx(&self) -> u64 {
        self.durable_idx
    }

    pub(crate) fn cut_idx(&self) -> u64 {
        self.cut_idx
    }

    pub(crate) fn agreed_idx(&self) -> u64 {
        self.agreed_idx
    }

    /// Below here and at or above what agrees, this unit surely lacks what was cut.
    pub(crate) fn missing_until(&self) -> u64 {
        self.missing_until
    }

    /// LOG-U1, LOG-I1: takes what is contiguous and chained, knows what it has, refuses the rest.
    pub(crate) fn stage(&mut self, frame: &Frame) -> Staged {
        let (first_idx, staged_idx) = (frame.header.first_idx, self.staged_idx());
        if first_idx > staged_idx {
            return Staged::Gap {
                expected_idx: staged_idx,
            };
        }
        if first_idx < staged_idx {
            return self.compare(frame);
        }
        if let Some(final_length) = self.sealed.filter(|length| frame.end_idx() > *length) {
            return Staged::Sealed { final_length };
        }
        // After damage that nothing is known of, the chain begins anew.
        let chain = self.chain_at(staged_idx).unwrap_or(frame.header.chain);
        if frame.header.chain != chain {
            return Staged::Differs;
        }
        if !self.fits_cuts(frame) {
            return Staged::Differs;
        }
        self.frames.push(Held::staged(frame));
        self.agree();
        Staged::Taken
    }

    fn compare(&self, frame: &Frame) -> Staged {
        let bad = self.bad_range(frame.header.first_idx).is_some();
        match self.frame_ending(frame.end_idx()) {
            Some(held)
                if held.count == frame.header.count
                    && held.chain_after() == frame.chain_after() =>
            {
                Staged::Duplicate
            }
            // What is damaged here cannot be compared; the frame is not wanted either.
            None if bad || frame.end_idx() <= self.begin_idx => Staged::Duplicate,
            _ => Staged::Differs,
        }
    }

    /// LOG-U4: a frame that passes or contradicts the next cut is never part of the lane.
    fn fits_cuts(&self, frame: &Frame) -> bool {
        let next = self
            .points
            .iter()
            .find(|point| point.to_idx > frame.header.first_idx);
        next.is_none_or(|point| {
            frame.end_idx() < point.to_idx
                || (frame.end_idx() == point.to_idx && frame.chain_after() == point.chain)
        })
    }

    fn frame_ending(&self, end_idx: u64) -> Option<&Held> {
        let at = self
            .frames
            .binary_search_by_key(&end_idx, Held::end_idx)
            .ok()?;
        self.frames.get(at)
    }

    /// The first frame that ends above `idx`, if it is held.
    pub(crate) fn frame_holding(&self, idx: u64) -> Option<&Held> {
        let at = self.frames.partition_point(|held| held.end_idx <= idx);
        self.frames.get(at).filter(|held| held.first_idx() <= idx)
    }

    /// The damaged range that holds `idx`.
    pub(crate) fn bad_range(&self, idx: u64) -> Option<Range<u64>> {
        let mut ranges = self.bad.iter().map(|bad| &bad.range);
        ranges.find(|range| range.contains(&idx)).cloned()
    }

    /// A frame was written. Nothing happens when it was set aside meanwhile.
    pub(crate) fn written(&mut self, end_idx: u64, chain: u128, position: u64) {
        if let Ok(at) = self.frames.binary_search_by_key(&end_idx, Held::end_idx)
            && let Some(held) = self.frames.get_mut(at)
            && held.chain_after() == chain
        {
            held.position = position;
        }
    }

    /// LOG-I3: called after a successful fdatasync, for the last frame it covered.
    pub(crate) fn synced(&mut self, end_idx: u64, chain: u128) {
        if self
            .frame_ending(end_idx)
            .is_some_and(|held| held.chain_after() == chain)
        {
            self.durable_idx = self.durable_idx.max(end_idx);
            self.agree();
        }
    }

    /// A frame found in the log at open. Later ones win: a unit writes other bytes for the same idx
    /// only after it has set the former aside; or they take the place of what was damaged.
    pub(crate) fn recover(&mut self, frame: &Frame, position: u64) {
        let first_idx = frame.header.first_idx;
        if first_idx < self.begin_idx {
            return; // trimmed
        }
        if self.fills(frame) {
            self.fill(Held::at(frame, position));
            return;
        }
        if first_idx < self.staged_idx() {
            if self.compare(frame) == Staged::Duplicate {
                return;
            }
            self.set_aside(first_idx);
        }
        if first_idx == self.staged_idx() && !self.leads_to(frame) {
            return;
        }
        if first_idx > self.staged_idx() {
            self.bad.push(Bad {
                range: self.staged_idx()..first_idx,
                chain: Some(frame.header.chain),
            });
        }
        self.frames.push(Held::at(frame, position));
        self.durable_idx = self.staged_idx();
        self.agree();
    }

    /// After everything was recovered.
    pub(crate) fn recovered(&mut self) {
        self.lossy = !self.bad.is_empty();
    }

    /// A cut gave the lane a length. Says when own content disagreed and was set aside. One that is
    /// heard late, because its stamp was lost, is held against the content as well.
    pub(crate) fn cut(&mut self, from_idx: u64, to_idx: u64, chain: u128, cut_seq: u64) -> Agrees {
        if self.contradicts(to_idx, chain) {
            return Agrees::Never;
        }
        if to_idx >= self.cut_idx {
            (self.cut_idx, self.cut_chain) = (to_idx, Some(chain));
        }
        self.anchor_damage();
        let at = self.points.partition_point(|point| point.to_idx < to_idx);
        let known = self
            .points
            .get(at)
            .is_some_and(|point| point.to_idx == to_idx);
        if to_idx <= self.agreed_idx || known {
            return Agrees::Yes;
        }
        let point = Point {
            from_idx,
            to_idx,
            chain,
            first_cut_seq: cut_seq,
            last_cut_seq: cut_seq,
        };
        let full = self.points.len() >= POINTS_MAX;
        match self
            .points
            .back_mut()
            .filter(|last| full && last.to_idx < to_idx)
        {
            Some(last) => {
                *last = Point {
                    from_idx: last.from_idx,
                    first_cut_seq: last.first_cut_seq.min(cut_seq),
                    last_cut_seq: last.last_cut_seq.max(cut_seq),
                    ..point
                };
            }
            None if full => {
                // Nothing is agreed by this one, but the next is waited for as long as both.
                if let Some(next) = self.points.get_mut(at) {
                    next.from_idx = next.from_idx.min(from_idx);
                    next.first_cut_seq = next.first_cut_seq.min(cut_seq);
                    next.last_cut_seq = next.last_cut_seq.max(cut_seq);
                }
            }
            None => self.points.insert(at, point),
        }
        match self.agree() {
            true => Agrees::Yes,
            false => Agrees::SetAside,
        }
    }

    /// LOG-U9: what a cut said once is what all cuts say of it for ever.
    fn contradicts(&self, to_idx: u64, chain: u128) -> bool {
        let agreed = to_idx <= self.agreed_idx && to_idx <= self.durable_idx;
        let held = self.frame_ending(to_idx).filter(|_| agreed);
        held.is_some_and(|held| held.chain_after() != chain)
    }

    /// Moves `agreed_idx` over every point that is held with the same chain, and forgets points
    /// that are durable too. Returns false when something was set aside (LOG-U4).
    fn agree(&mut self) -> bool {
        let mut agrees = true;
        for at in 0..self.points.len() {
            let Some(point) = self.points.get(at).copied() else {
                break;
            };
            if point.to_idx <= self.agreed_idx {
                continue;
            }
            if point.to_idx > self.staged_idx() {
                break;
            }
            let damaged = self.bad_range(point.to_idx - 1).is_some();
            let held = self.frame_ending(point.to_idx).map(Held::chain_after);
            if damaged && !self.based {
                break; // Base may know of cuts before this one
            }
            if damaged {
                // The frames before the damage can no longer be compared with this cut.
                self.forget(self.agreed_idx..point.to_idx);
            } else if held != Some(point.chain) {
                self.set_aside(self.agreed_idx);
                agrees = false;
                break;
            }
            self.agreed_idx = point.to_idx;
        }
        let done = self.agreed_idx.min(self.durable_idx);
        while let Some(first) = self.points.front().filter(|point| point.to_idx <= done)
            && self.bad_range(first.to_idx - 1).is_none()
        {
            self.points.pop_front();
        }
        agrees
    }

    /// Takes everything from `idx` on out of the lane. Its bytes stay where they are on the disk.
    fn set_aside(&mut self, idx: u64) {
        self.frames.retain(|held| held.end_idx <= idx);
        self.bad.retain(|bad| bad.range.end <= idx);
        let held = self.staged_idx();
        self.durable_idx = self.durable_idx.min(held);
        self.reported_idx = self.reported_idx.min(held);
        self.missing_until = self.cut_idx;
    }

    /// LOG-U7: marks a range as damaged; what was indexed inside is never served again.
    pub(crate) fn forget(&mut self, range: Range<u64>) {
        let points = self.points.iter();
        let mut points = points.map(|point| (point.to_idx, point.chain));
        let cut = points.find(|(idx, _)| *idx == range.end);
        let chain = self
            .chain_at(range.end)
            .or(cut.map(|(_, chain)| chain))
            .or_else(|| self.bad_chain(range.end));
        self.frames
            .retain(|held| held.end_idx <= range.start || held.first_idx() >= range.end);
        self.bad.push(Bad { range, chain });
        self.bad.sort_by_key(|bad| (bad.range.start, bad.range.end));
        self.bad.dedup_by(|next, before| {
            let joined = next.range.start <= before.range.end;
            if joined && next.range.end > before.range.end {
                (before.range.end, before.chain) = (next.range.end, next.chain);
            } else if joined && next.range.end == before.range.end {
                before.chain = before.chain.or(next.chain);
            }
            joined
        });
        if let Some(final_length) = self.sealed {
            self.drop_beyond(final_length);
        }
        self.anchor_damage();
    }

    /// What was cut last says what has to come out of damage that ends there.
    fn anchor_damage(&mut self) {
        let (cut_idx, cut_chain) = (self.cut_idx, self.cut_chain);
        let ends_there = |bad: &&mut Bad| bad.range.end == cut_idx && bad.chain.is_none();
        if let Some(bad) = self.bad.iter_mut().find(ends_there) {
            bad.chain = cut_chain;
        }
    }

    /// The sequencer's word on a lane at connection: its length and chain.
    pub(crate) fn base(&mut self, length: u64, chain: u128, cut_seq: u64) -> Agrees {
        self.based = true;
        let mut agrees = self.cut(self.cut_idx, length, chain, cut_seq);
        if agrees == Agrees::Yes && !self.agree() {
            agrees = Agrees::SetAside;
        }
        if self.durable_idx < length {
            self.missing_until = length;
        }
        agrees
    }

    /// LOG-I6: nothing beyond was cut, or ever will be. Nobody gives it, so damage there would stay for ever.
    pub(crate) fn seal(&mut self, final_length: u64) {
        self.sealed = Some(final_length);
        self.drop_beyond(final_length);
        self.anchor_damage();
    }

    fn drop_beyond(&mut self, final_length: u64) {
        let damage = self.bad.last().map_or(0, |bad| bad.range.end);
        if damage <= final_length {
            return;
        }
        self.frames.retain(|held| held.end_idx <= final_length);
        for bad in &mut self.bad {
            if bad.range.end > final_length {
                (bad.range.end, bad.chain) = (final_length.max(bad.range.start), None);
            }
        }
        self.bad.retain(|bad| !bad.range.is_empty());
        self.lossy &= !self.bad.is_empty();
        let held = self.staged_idx();
        self.durable_idx = self.durable_idx.min(held);
        self.reported_idx = self.reported_idx.min(held);
    }

    /// The sequencer's word on a lane that ended on other units. Nothing of it was ever held here, so
    /// nothing is said to be missing; and no cut waits for it.
    pub(crate) fn copy(&mut self, final_length: u64, chain: u128) -> Agrees {
        self.based = true;
        self.seal(final_length);
        self.cut(self.cut_idx, final_length, chain, 0)
    }

    /// Sealed, and held and agreed to the end.
    pub(crate) fn is_whole(&self) -> bool {
        let all = self.sealed == Some(self.cut_idx) && self.given_until() >= self.cut_idx;
        all && !self.is_behind()
    }

    pub(crate) fn expects_a_cut(&self) -> bool {
        self.sealed.is_none() && self.reported_idx > self.cut_idx
    }

    /// The oldest cut, of those from `cut_seq` on, that is not durably held and agreed here.
    pub(crate) fn waits_for_cut(&self, cut_seq: u64) -> Option<u64> {
        let waiting = self
            .points
            .iter()
            .find(|point| point.last_cut_seq >= cut_seq);
        waiting.map(|point| point.first_cut_seq.max(cut_seq))
    }

    /// What is damaged, and what was missing at the last Base and still is.
    pub(crate) fn bad_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<_> = self.bad.iter().map(|bad| bad.range.clone()).collect();
        let held = self.staged_idx();
        if held < self.missing_until {
            ranges.push(held..self.missing_until);
        }
        ranges
    }

    /// Frame ends that may be told to the sequencer: durable, below the first damage, above what
    /// was told; of those that are cut already only the last, which says that this unit does not
    /// lag, and at most `max` others.
    pub(crate) fn ends_to_report(&self, max: usize) -> Vec<(u64, u128)> {
        let damage = self.bad.first().map(|bad| bad.range.start);
        let damage = damage.filter(|_| self.lossy);
        let through = self.durable_idx.min(damage.unwrap_or(u64::MAX));
        let above = |idx: u64| self.frames.partition_point(|held| held.end_idx <= idx);
        let (told, cut, durable) = (
            above(self.reported_idx),
            above(self.cut_idx),
            above(through),
        );
        let end = durable.min(cut.saturating_add(max));
        let begin = told.max(cut.min(end.saturating_sub(1)));
        let ends = self.frames.get(begin..end).unwrap_or_default();
        if self.frames.is_empty() && self.reported_idx < self.begin_idx {
            // All of it is trimmed: that this unit does not lag has to be told all the same.
            let begin = self.begin_chain.map(|chain| (self.begin_idx, chain));
            return begin.into_iter().collect();
        }
        ends.iter()
            .map(|held| (held.end_idx, held.chain_after()))
            .collect()
    }
}
