//! Seals, closed stripes and lane moves of a cluster in memory.
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Code, Refusal, v1};

use super::fake_cluster::{FakeCluster, Fault, State};

impl FakeCluster {
    /// All lanes end where they are.
    pub fn seal_lanes(&self) {
        self.change(|state| {
            let lanes: Vec<u64> = state.lanes.keys().copied().collect();
            lanes.into_iter().for_each(|lane| state.seal(lane));
        });
    }

    /// Stripe `stripe` (from 0) takes no lanes any more; those that it has are sealed.
    pub fn close_stripe(&self, stripe: u64) {
        self.change(|state| state.close_stripe(stripe + 1));
    }

    /// On which stripe (from 0) a lane lies.
    pub fn stripe_of(&self, lane: u64) -> u64 {
        self.state.lock().lanes[&lane].stripe - 1
    }

    /// LOG-A4 as it must never be: successors are opened before their lanes are sealed.
    pub fn move_before_the_seal(&self) {
        self.change(|state| state.seals_late = true);
    }
}

impl State {
    pub(super) fn seal(&mut self, id: u64) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| !lane.sealed) else {
            return;
        };
        lane.sealed = true;
        let sealed = v1::LaneSealed {
            lane: id,
            final_length: lane.length,
            ..Default::default()
        };
        self.tell(Event::LaneSealed(sealed));
    }

    fn close_stripe(&mut self, id: u64) {
        let on_it = self.lanes.values().filter(|lane| lane.stripe == id);
        let lanes: Vec<u64> = on_it.map(|lane| lane.lane).collect();
        lanes.into_iter().for_each(|lane| self.seal(lane));
        let last_lsn = self.records;
        let stripe = &mut self.stripes[id as usize - 1];
        (stripe.closed, stripe.last_lsn) = (true, last_lsn);
        let closed = v1::StripeClosed {
            stripe: id,
            last_lsn,
            ..Default::default()
        };
        self.tell(Event::StripeClosed(closed));
    }

    pub(super) fn tell(&mut self, event: Event) {
        let event = Some(event);
        self.events.push(v1::LogEvent { event });
    }

    /// MoveLane of the sequencer: seal and open, or what was answered before.
    pub(super) fn move_lane(
        &mut self,
        request: &v1::MoveLaneRequest,
    ) -> Result<v1::LaneMoved, Refusal> {
        let what = format!("lane {}", request.lane);
        let lane = self.lanes.get(&request.lane).cloned();
        let lane = lane.ok_or_else(|| Refusal::new(Code::NotFound, what.clone(), "unknown"))?;
        if lane.successor != 0 {
            let successor = self
                .opened
                .values()
                .find(|opened| opened.lane == lane.successor);
            return Ok(v1::LaneMoved {
                final_length: lane.length,
                successor: successor.cloned(),
            });
        }
        let next = self.next_stripe(&lane, &request.avoid_units);
        let stripe = next.ok_or_else(|| Refusal::new(Code::NotYet, what, "nowhere to go"))?;
        if !self.seals_late {
            self.seal(request.lane);
        }
        let successor = self.open_on(stripe, request.owner, format!("successor of {}", lane.lane));
        if let Some(lane) = self.lanes.get_mut(&request.lane) {
            lane.successor = successor.lane;
        }
        Ok(v1::LaneMoved {
            final_length: lane.length,
            successor: Some(successor),
        })
    }

    /// The next one in turn all of whose units are well; a sealed lane may stay where it was.
    fn next_stripe(&self, lane: &v1::LaneState, avoid: &[u64]) -> Option<u64> {
        let well = |unit: &v1::UnitRef| {
            !avoid.contains(&unit.unit_id) && self.units[&unit.unit_id].fault == Fault::None
        };
        let count = self.stripes.len() as u64;
        let in_turn = (0..count).map(|n| (lane.stripe + n) % count + 1);
        let open = in_turn.filter(|id| !self.stripes[*id as usize - 1].closed);
        let mut open = open.filter(|id| lane.sealed || *id != lane.stripe);
        open.find(|id| self.stripes[*id as usize - 1].units.iter().all(well))
    }
}
