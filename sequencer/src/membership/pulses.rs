//! Liveness: who beats, who is gone. A leader's memory, never Raft state (LOG-D5).
use crate::membership::clocks::median;
use crate::order::Order;
use dfs_wire::v1;
use std::collections::BTreeMap;

/// Silence after which a member is gone.
pub(crate) const SILENCE_US: u64 = 500_000;
/// A leader that did not run for this long cannot tell who was silent: it starts all timers anew.
pub(crate) const STALL_US: u64 = 250_000;
/// Clocks heard within this count for the median.
const CLOCK_US: u64 = 3_000_000;

#[derive(Debug, Default)]
pub(crate) struct Pulses {
    nodes: BTreeMap<u64, Pulse>,
}

#[derive(Debug)]
struct Pulse {
    /// The newest keep-alive stream of the process.
    stream: u64,
    /// Its stream is open and has not been silent for too long.
    beating: bool,
    heard_us: u64,
    beat: v1::Beat,
}

impl Pulses {
    /// A beat of a registered incarnation. True when members must be told: it came back, stepped down
    /// from something, or has a unit that is full now or not any more.
    pub(crate) fn beat(&mut self, beat: v1::Beat, stream: u64, now_us: u64) -> bool {
        let former = self.nodes.get(&beat.node_id);
        if former.is_some_and(|pulse| pulse.stream > stream) {
            return false; // a stream that has been replaced
        }
        let same = former.is_some_and(|former| {
            former.beating
                && former.beat.incarnation == beat.incarnation
                && former.beat.stepped_down == beat.stepped_down
                && full_units(&former.beat) == full_units(&beat)
        });
        let pulse = Pulse {
            stream,
            beating: true,
            heard_us: now_us,
            beat,
        };
        self.nodes.insert(pulse.beat.node_id, pulse);
        !same
    }

    /// The stream broke. True when the member is gone by that.
    pub(crate) fn broke(&mut self, node: u64, stream: u64) -> bool {
        let pulse = self
            .nodes
            .get_mut(&node)
            .filter(|pulse| pulse.stream == stream);
        pulse.is_some_and(|pulse| std::mem::take(&mut pulse.beating))
    }

    /// Marks the silent as gone. True when there are any.
    pub(crate) fn silence(&mut self, now_us: u64) -> bool {
        let mut any = false;
        for pulse in self.nodes.values_mut() {
            if pulse.beating && now_us.saturating_sub(pulse.heard_us) >= SILENCE_US {
                pulse.beating = false;
                any = true;
            }
        }
        any
    }

    /// The leader itself stood still: whoever beat before gets his full time again.
    pub(crate) fn restart(&mut self, now_us: u64) {
        for pulse in self.nodes.values_mut().filter(|pulse| pulse.beating) {
            pulse.heard_us = now_us;
        }
    }

    pub(crate) fn is_beating(&self, order: &Order, node: u64) -> bool {
        let registered = order.members.get(&node).map(|member| member.incarnation);
        let pulse = self.nodes.get(&node).filter(|pulse| pulse.beating);
        pulse.is_some_and(|pulse| Some(pulse.beat.incarnation) == registered)
    }

    pub(crate) fn any_beating(&self) -> bool {
        self.nodes.values().any(|pulse| pulse.beating)
    }

    /// The last beat of the registered incarnation, whether it still beats or not.
    pub(crate) fn last_beat(&self, order: &Order, node: u64) -> Option<&v1::Beat> {
        let incarnation = order.members.get(&node)?.incarnation;
        let beat = &self.nodes.get(&node)?.beat;
        (beat.incarnation == incarnation).then_some(beat)
    }

    pub(crate) fn space(&self, order: &Order, node: u64, unit: u64) -> Option<&v1::UnitSpace> {
        self.last_beat(order, node)?
            .units
            .iter()
            .find(|space| space.unit_id == unit)
    }

    /// The median of the clocks heard of late, `own_wall_us` included, each brought forward to now.
    pub(crate) fn clock_us(&self, now_us: u64, own_wall_us: u64) -> u64 {
        let since = |pulse: &Pulse| now_us.saturating_sub(pulse.heard_us);
        let late = self.nodes.values().filter(|pulse| since(pulse) <= CLOCK_US);
        let heard = late.map(|pulse| pulse.beat.wall_us.saturating_add(since(pulse)));
        let clocks = heard.chain([own_wall_us]).collect();
        median(clocks).unwrap_or(own_wall_us)
    }
}

fn full_units(beat: &v1::Beat) -> Vec<(u64, bool)> {
    beat.units
        .iter()
        .map(|space| (space.unit_id, space.full))
        .collect()
}
