//! The append machine: what to send to which unit, what to keep, what a cut settles. It never waits.
//!
//! Input: drafts, credits, connections made and lost, cuts. Output: frames to send and answers to give.
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use dfs_wire::frame::chain_of;
use dfs_wire::limits::APPENDER_KEEPS_BYTES;
use dfs_wire::v1;

use crate::appender::{FrameOutcome, FramePlace, InFlight, Room, Ticket};
use crate::shared_log::{Draft, FrameAt};
use crate::tail::{Frozen, Tail};

mod hand_over;
mod unit_lane;
pub(crate) use hand_over::Remainder;
pub(crate) use unit_lane::Link;
use unit_lane::UnitLane;

pub(crate) struct Machine {
    tail: Tail,
    /// Frozen frames in order: cut ones that some unit lacks, then all uncut ones (LOG-A3).
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    kept_bytes_max: usize,
    /// The lane's length as far as cuts were heard.
    cut_idx: u64,
    units: Vec<UnitLane>,
    write_quorum: usize,
    /// W units have staged everything below.
    quorum_staged: u64,
    in_flight: InFlight,
    closing: bool,
    /// Nothing of it is to be trusted: nobody is sent anything.
    abandoned: bool,
}

struct Kept {
    frozen: Frozen,
    /// Bytes of the lane before this frame.
    first_byte: u64,
}

/// Frames for one unit, contiguous.
pub(crate) struct Send {
    pub(crate) first_idx: u64,
    pub(crate) frames: Vec<Bytes>,
    /// Of these frames.
    pub(crate) traces: Vec<v1::FrameTrace>,
}

/// What a cut settled.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) frames: Vec<FrameAt>,
    pub(crate) answers: Vec<(Arc<FrameOutcome>, FramePlace)>,
    /// Room of the window to give back.
    pub(crate) cost: usize,
}

/// The sequencer and this lane disagree (LOG-I1, LOG-I4): nobody can tell which records lie where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// The cut does not begin at the length this lane has.
    From,
    /// The cut does not end where a frame ends, or beyond all frames.
    End,
    /// Other bytes have this place.
    Chain,
    /// The lane was sealed below what was cut, or inside a frame.
    Seal,
}

impl Machine {
    pub(crate) fn new(tail: Tail, unit_ids: &[u64], write_quorum: usize) -> Machine {
        assert!(
            write_quorum >= 1 && write_quorum <= unit_ids.len(),
            "W of R units"
        );
        Machine {
            tail,
            kept: VecDeque::new(),
            kept_bytes: 0,
            kept_bytes_max: APPENDER_KEEPS_BYTES,
            cut_idx: 0,
            units: unit_ids.iter().map(|id| UnitLane::new(*id)).collect(),
            write_quorum,
            quorum_staged: 0,
            in_flight: InFlight::default(),
            closing: false,
            abandoned: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn keep_at_most(&mut self, bytes: usize) {
        self.kept_bytes_max = bytes;
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight
    }

    pub(crate) fn room(&self) -> Room {
        let full = self.units.iter().filter(|unit| unit.full).count() as u32;
        let (units, write_quorum) = (self.units.len() as u32, self.write_quorum as u32);
        Room {
            units,
            full,
            write_quorum,
        }
    }

    /// Takes a record; true: there is something new to send.
    pub(crate) fn push(&mut self, draft: Draft) -> (Ticket, bool) {
        let had_open = self.tail.has_open();
        let cost = crate::appender::cost(&draft.record);
        let mut frozen = Vec::new();
        let ticket = self.tail.push(draft, &mut frozen);
        self.in_flight.records += 1;
        self.in_flight.bytes += cost as u64;
        let new = !frozen.is_empty() || (!had_open && self.is_due());
        frozen.into_iter().for_each(|frozen| self.keep(frozen));
        (ticket, new)
    }

    /// LOG-A5: what is open is sent when all that was sent is staged.
    fn is_due(&self) -> bool {
        self.tail.has_open() && self.quorum_staged >= self.tail.end_idx()
    }

    fn keep(&mut self, frozen: Frozen) {
        let bytes = frozen.frame.bytes().len();
        let last = self.kept.back();
        let first_byte = last.map_or(0, |kept| kept.first_byte + kept.bytes() as u64);
        self.kept_bytes += bytes;
        self.kept.push_back(Kept { frozen, first_byte });
    }

    /// Freezes what is open if its time has come; true: every unit has something new to get.
    pub(crate) fn freeze_due(&mut self) -> bool {
        let frozen = if self.is_due() {
            self.tail.freeze()
        } else {
            None
        };
        let froze = frozen.is_some();
        frozen.into_iter().for_each(|frozen| self.keep(frozen));
        froze
    }

    /// The first idx that is still kept.
    fn kept_from(&self) -> u64 {
        self.kept.front().map_or(self.tail.end_idx(), |kept| {
            kept.frozen.frame.header.first_idx
        })
    }

    /// Position of the first kept frame that ends above `idx`.
    fn position(&self, idx: u64) -> usize {
        self.kept
            .partition_point(|kept| kept.frozen.frame.end_idx() <= idx)
    }

    /// The start of the kept frame that holds `idx`; `idx` itself at a frame end.
    fn floor(&self, idx: u64) -> u64 {
        let idx = idx.max(self.kept_from());
        let kept = self.kept.get(self.position(idx));
        kept.map_or(self.tail.end_idx(), |kept| {
            kept.frozen.frame.header.first_idx
        })
    }

    /// Bytes between two frame starts.
    fn bytes_between(&self, from_idx: u64, to_idx: u64) -> u64 {
        let last = self.kept.back();
        let end = last.map_or(0, |kept| kept.first_byte + kept.bytes() as u64);
        let at = |idx| {
            self.kept
                .get(self.position(idx))
                .map_or(end, |kept| kept.first_byte)
        };
        at(to_idx).saturating_sub(at(from_idx))
    }

    /// The next frames for a unit within its window, at most about `bytes_max`; they count as sent.
    pub(crate) fn take(&mut self, unit: usize, bytes_max: usize) -> Option<Send> {
        let UnitLane {
            sent_idx,
            staged_idx,
            window_bytes,
            full,
            ..
        } = self.units[unit];
        if self.units[unit].link != Link::Ready {
            return None;
        }
        let mut in_flight = self.bytes_between(staged_idx, sent_idx);
        let (mut frames, mut bytes, mut end_idx) = (Vec::new(), 0, sent_idx);
        let mut traces = Vec::new();
        for kept in self.kept.range(self.position(sent_idx)..) {
            let length = kept.bytes();
            let has_room = in_flight == 0 || (!full && in_flight + length as u64 <= window_bytes);
            if !has_room || (bytes > 0 && bytes + length > bytes_max) {
                break;
            }
            frames.push(kept.frozen.frame.bytes().clone());
            traces.extend(kept.frozen.trace());
            bytes += length;
            in_flight += length as u64;
            end_idx = kept.frozen.frame.end_idx();
        }
        self.units[unit].sent_idx = end_idx;
        let first_idx = self.floor(sent_idx);
        (!frames.is_empty()).then_some(Send {
            first_idx,
            frames,
            traces,
        })
    }

    /// True when the unit has not staged all that was sent to it.
    pub(crate) fn awaits(&self, unit: usize) -> bool {
        let unit = &self.units[unit];
        unit.link == Link::Ready && unit.sent_idx > unit.staged_idx
    }

    pub(crate) fn link(&self, unit: usize) -> Link {
        self.units[unit].link
    }

    /// How far the unit has staged: grows while it works.
    pub(crate) fn staged_idx(&self, unit: usize) -> u64 {
        self.units[unit].staged_idx
    }

    /// How long a unit that was given up is left alone.
    pub(crate) fn trial_after(&self, unit: usize) -> Option<std::time::Duration> {
        self.units[unit].trial_after()
    }

    /// Frames are kept for the unit again, and sent to it, from the oldest on.
    pub(crate) fn try_again(&mut self, unit: usize) {
        self.units[unit].try_again();
    }

    /// True when there are frames that the unit is not known to hold.
    pub(crate) fn lacks(&self, unit: usize) -> bool {
        self.units[unit].durable_idx < self.tail.end_idx()
    }

    /// A new stream: what the unit is not known to hold durably is sent again.
    pub(crate) fn connected(&mut self, unit: usize) {
        let from = self.floor(self.units[unit].durable_idx);
        self.units[unit].connected(from);
        self.count_staged();
    }

    pub(crate) fn disconnected(&mut self, unit: usize) {
        self.units[unit].disconnected();
    }

    /// A hold is over: what is not staged is sent again.
    pub(crate) fn resume(&mut self, unit: usize) {
        let from = self.floor(self.units[unit].staged_idx);
        self.units[unit].resume(from);
    }

    /// Hears a unit; true: what was open may be frozen now.
    pub(crate) fn credit(&mut self, unit: usize, credit: &v1::Credit) -> bool {
        if credit.lane != self.tail.lane() {
            return false;
        }
        let (kept_from, end_idx) = (self.kept_from(), self.tail.end_idx());
        let stored = if credit.gap { 0 } else { credit.durable_idx };
        let staged = self.floor(credit.staged_idx.max(stored).min(end_idx));
        self.units[unit].credit(credit, staged, kept_from, end_idx);
        self.count_staged();
        self.prune();
        self.is_due()
    }

    fn count_staged(&mut self) {
        let units = self.units.iter().filter(|unit| unit.link != Link::GivenUp);
        let mut staged: Vec<u64> = units.map(|unit| unit.staged_idx).collect();
        staged.sort_unstable_by(|a, b| b.cmp(a));
        self.quorum_staged = staged.get(self.write_quorum - 1).copied().unwrap_or(0);
    }

    /// LOG-A6: a run of this lane has its LSNs. What was settled before is no news.
    pub(crate) fn cut(
        &mut self,
        cut: &v1::CutLane,
        place: FramePlace,
    ) -> Result<Settled, Disagreement> {
        let mut settled = Settled::default();
        if cut.to_idx <= self.cut_idx {
            return Ok(settled);
        }
        if cut.from_idx != self.cut_idx {
            return Err(Disagreement::From);
        }
        let FramePlace {
            first_lsn,
            log_time_us,
            cut_seq,
        } = place;
        let first = self.position(cut.from_idx);
        let mut last_chain = None;
        for kept in self.kept.range(first..) {
            let frame = &kept.frozen.frame;
            if frame.end_idx() > cut.to_idx {
                break;
            }
            let first_lsn = first_lsn + (frame.header.first_idx - cut.from_idx);
            let place = FramePlace { first_lsn, ..place };
            settled.answers.push((kept.frozen.outcome.clone(), place));
            settled.frames.push(FrameAt {
                first_lsn,
                cut_seq,
                log_time_us,
                frame: frame.clone(),
            });
            settled.cost += kept.frozen.cost;
            last_chain = Some((frame.end_idx(), frame.chain_after()));
        }
        match last_chain {
            Some((end, _)) if end != cut.to_idx => return Err(Disagreement::End),
            None => return Err(Disagreement::End),
            Some((_, chain)) if chain != chain_of(cut.chain_high, cut.chain_low) => {
                return Err(Disagreement::Chain);
            }
            Some(_) => {}
        }
        self.in_flight.records -= cut.to_idx - cut.from_idx;
        self.in_flight.bytes -= settled.cost as u64;
        self.cut_idx = cut.to_idx;
        self.prune();
        Ok(settled)
    }

    /// LOG-A3: forgets frames that are cut and stored on every unit; past the bound, units that lag are given up.
    fn prune(&mut self) {
        while let Some(kept) = self.kept.front() {
            let (end_idx, bytes) = (kept.frozen.frame.end_idx(), kept.bytes());
            if end_idx > self.cut_idx {
                return;
            }
            let lags = |unit: &UnitLane| unit.link != Link::GivenUp && unit.durable_idx < end_idx;
            if self.units.iter().any(lags) {
                if self.kept_bytes <= self.kept_bytes_max {
                    return;
                }
                let lagging = self.units.iter_mut().filter(|unit| lags(unit));
                lagging.for_each(UnitLane::give_up);
                self.count_staged();
            }
            self.kept_bytes -= bytes;
            self.kept.pop_front();
        }
    }

    /// Units that this lane does not serve now: (unit, durable idx, cut idx).
    pub(crate) fn given_up(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let is_out = |unit: &&UnitLane| unit.link == Link::GivenUp || unit.on_trial;
        let units = self.units.iter().filter(is_out);
        units.map(|unit| (unit.unit_id, unit.durable_idx, self.cut_idx))
    }

    /// How long the unit is left alone, if it is.
    pub(crate) fn hold(&self, unit: usize) -> Option<std::time::Duration> {
        self.units[unit].hold()
    }

    pub(crate) fn cut_idx(&self) -> u64 {
        self.cut_idx
    }

    /// No more records will come.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// True when nothing is left to do for this unit.
    pub(crate) fn is_done(&self, unit: usize) -> bool {
        let settled = self.closing && !self.tail.has_open() && self.cut_idx == self.tail.end_idx();
        let out = matches!(self.units[unit].link, Link::Away | Link::GivenUp);
        self.abandoned || (settled && (out || !self.lacks(unit)))
    }

    /// True when nothing is uncut and nothing will be.
    pub(crate) fn is_settled(&self) -> bool {
        self.closing && !self.tail.has_open() && self.cut_idx == self.tail.end_idx()
    }

    /// Everybody who still waits; they will be told that nobody knows. The lane ends here.
    pub(crate) fn abandon(&mut self) -> Vec<Arc<FrameOutcome>> {
        (self.closing, self.abandoned) = (true, true);
        self.units.iter_mut().for_each(UnitLane::give_up);
        let first = self.position(self.cut_idx);
        let mut waiting: Vec<_> = self
            .kept
            .range(first..)
            .map(|kept| kept.frozen.outcome.clone())
            .collect();
        waiting.extend(self.tail.abandon());
        self.kept.clear();
        self.kept_bytes = 0;
        self.in_flight = InFlight::default();
        waiting
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.frozen.frame.bytes().len()
    }
}

#[cfg(test)]
mod move_tests;
#[cfg(test)]
mod tests;
