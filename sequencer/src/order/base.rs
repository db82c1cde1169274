//! Base: the order as a newcomer is told it (LOG.md §3).
use crate::order::{Lane, Order, Stripe};
use dfs_wire::v1;

impl Order {
    pub(crate) fn base(&self) -> v1::Base {
        v1::Base {
            cut_seq: self.cut_seq,
            next_lsn: self.next_lsn,
            log_time_us: self.log_time_us,
            raft_index: self.applied_index,
            lanes: self.lane_states(),
            stripes: self.stripe_states(),
            cuts: self.cuts.iter().cloned().collect(),
            cluster_id: self.cluster_id.clone().into(),
            generation: self.generation,
            trim_lsn: self.history.trim_lsn,
            waiting: Vec::new(),
        }
    }

    /// With what waits for this unit to stamp it.
    pub(crate) fn base_for(&self, unit: u64) -> v1::Base {
        let part = |stripe: &&Stripe| stripe.units.contains(&unit) || stripe.copies.contains(&unit);
        let stripes = self.stripes.values().filter(part);
        v1::Base {
            waiting: stripes.filter_map(|row| row.waiting.clone()).collect(),
            ..self.base()
        }
    }

    pub(crate) fn lane_states(&self) -> Vec<v1::LaneState> {
        let lanes = self.lanes.iter();
        lanes.map(|(id, lane)| lane_state(*id, lane)).collect()
    }

    pub(crate) fn lane_states_on(&self, stripe: u64) -> Vec<v1::LaneState> {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.stripe == stripe);
        lanes.map(|(id, lane)| lane_state(*id, lane)).collect()
    }

    pub(crate) fn stripe_states(&self) -> Vec<v1::StripeState> {
        self.stripes
            .keys()
            .filter_map(|id| self.stripe_state(*id))
            .collect()
    }

    pub(crate) fn stripe_state(&self, id: u64) -> Option<v1::StripeState> {
        let stripe = self.stripes.get(&id)?;
        Some(v1::StripeState {
            stripe: id,
            units: stripe
                .units
                .iter()
                .filter_map(|unit| self.unit_ref(*unit))
                .collect(),
            write_quorum: stripe.write_quorum,
            first_lsn: stripe.first_lsn,
            last_lsn: stripe.last_lsn,
            closed: stripe.closed,
            copies: stripe
                .copies
                .iter()
                .filter_map(|unit| self.unit_ref(*unit))
                .collect(),
            locations: stripe.locations.clone(),
            waiting_runs: stripe
                .waiting
                .as_ref()
                .map_or(0, |row| row.runs.len() as u64),
        })
    }

    /// Without what only a leader's memory knows: live, full, space.
    pub(crate) fn unit_ref(&self, id: u64) -> Option<v1::UnitRef> {
        let unit = self.units.get(&id)?;
        let member = self.members.get(&unit.node_id)?;
        Some(v1::UnitRef {
            unit_id: id,
            node_id: unit.node_id,
            slot: unit.slot,
            nonce: unit.nonce.clone().into(),
            state: unit.state,
            address: member.address.clone(),
            rack: member.rack.clone(),
            ..v1::UnitRef::default()
        })
    }
}

fn lane_state(id: u64, lane: &Lane) -> v1::LaneState {
    v1::LaneState {
        lane: id,
        owner: Some(v1::Owner {
            node_id: lane.owner_node,
            incarnation: lane.owner_incarnation,
        }),
        stripe: lane.stripe,
        length: lane.length,
        chain_high: lane.chain_high,
        chain_low: lane.chain_low,
        sealed: lane.sealed,
        end_lsn: lane.end_lsn,
        successor: lane.successor,
    }
}
