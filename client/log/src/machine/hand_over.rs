//! LOG-A4: what a sealed lane leaves to its successor, and who is missed on the units that it has.
use std::collections::VecDeque;

use super::unit_lane::{Link, UnitLane};
use super::{Disagreement, Machine};
use crate::appender::InFlight;
use crate::tail::{Frozen, Tail};

/// Everything that the final length leaves uncut for ever: records in their order, and who waits for them.
pub(crate) struct Remainder {
    tail: Tail,
    frames: VecDeque<Frozen>,
    in_flight: InFlight,
    closing: bool,
}

impl Machine {
    /// The lane is sealed, and this length was applied (LOG-I7): what lies below is brought to its end here,
    /// the rest goes on elsewhere.
    pub(crate) fn hand_over(&mut self, final_length: u64) -> Result<Remainder, Disagreement> {
        if final_length < self.cut_idx || self.floor(final_length) != final_length {
            return Err(Disagreement::Seal);
        }
        let left = self.kept.split_off(self.position(final_length));
        self.kept_bytes -= left.iter().map(super::Kept::bytes).sum::<usize>();
        let frames: VecDeque<Frozen> = left.into_iter().map(|kept| kept.frozen).collect();
        let tail = self.tail.hand_over(final_length);
        let (mut records, mut bytes) = tail.open_cost();
        for frozen in &frames {
            records += u64::from(frozen.frame.header.count);
            bytes += frozen.cost as u64;
        }
        self.in_flight.records -= records;
        self.in_flight.bytes -= bytes;
        let units = self.units.iter_mut();
        units.for_each(|unit| unit.end_at(final_length));
        self.count_staged();
        let closing = std::mem::replace(&mut self.closing, true);
        self.prune();
        Ok(Remainder {
            tail,
            frames,
            in_flight: InFlight { records, bytes },
            closing,
        })
    }

    /// The next lane, with what was left, renumbered from 0 under a new chain.
    pub(crate) fn succeed(
        left: Remainder,
        lane: u64,
        chain: u128,
        unit_ids: &[u64],
        write_quorum: usize,
    ) -> Machine {
        let Remainder {
            mut tail,
            frames,
            in_flight,
            closing,
        } = left;
        tail.begin(lane, chain);
        let frames: Vec<Frozen> = frames.iter().map(|frozen| tail.take_over(frozen)).collect();
        let mut machine = Machine::new(tail, unit_ids, write_quorum);
        frames.into_iter().for_each(|frozen| machine.keep(frozen));
        machine.in_flight = in_flight;
        machine.closing = closing;
        machine
    }

    /// Units that are away though they lack something, take nothing, or stay out of the lane.
    pub(crate) fn missed_units(&self) -> Vec<u64> {
        let units = self.units.iter().filter(|unit| self.misses(unit));
        units.map(|unit| unit.unit_id).collect()
    }

    pub(crate) fn misses_a_unit(&self) -> bool {
        self.units.iter().any(|unit| self.misses(unit))
    }

    fn misses(&self, unit: &UnitLane) -> bool {
        let lacks = unit.durable_idx < self.tail.end_idx() || self.tail.has_open();
        let stays_out = unit.link == Link::GivenUp || unit.on_trial;
        unit.full || stays_out || (unit.link == Link::Away && lacks)
    }

    pub(crate) fn is_full(&self, unit: usize) -> bool {
        self.units[unit].full
    }

    /// A lane whose successor has been left too keeps nothing any more: who lags fetches from its peers (LOG-A3).
    pub(crate) fn let_go(&mut self) {
        if self.is_settled() {
            self.units.iter_mut().for_each(UnitLane::give_up);
            self.prune();
        }
    }
}
