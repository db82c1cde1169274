//! OpenLane and SealLane: a lane has one owner for life (LOG-A1), and its sealed length is final (LOG-I6).
use crate::order::command::{OpenLane, OpenStripe};
use crate::order::register::next_id;
use crate::order::{Effects, Event, Lane, Order, Outcome};
use dfs_wire::frame::{chain_halves, first_chain};
use dfs_wire::{Code, v1};

impl Order {
    /// A retry with the same request id gets the same lane.
    pub(super) fn open_lane(&mut self, index: u64, open: &OpenLane) -> Effects {
        let same = |lane: &&Lane| lane.request_id == open.request_id;
        if let Some(lane) = self
            .lanes
            .iter()
            .rev()
            .find(|(_, lane)| same(lane))
            .map(|(id, _)| *id)
        {
            return Effects::quiet(Outcome::LaneOpened { lane });
        }
        self.add_lane(index, open)
    }

    /// A lane of its own for a registered owner; its stripe is opened with it if need be.
    pub(super) fn add_lane(&mut self, index: u64, open: &OpenLane) -> Effects {
        let owner = self.members.get(&open.owner_node);
        if owner.is_none_or(|member| member.incarnation != open.owner_incarnation) {
            return Effects::refused(
                Code::Mismatch,
                format!("lane for node {}", open.owner_node),
                "its owner is not registered, or in another incarnation",
            );
        }
        let open_stripe = OpenStripe {
            units: open.units.clone(),
            write_quorum: open.write_quorum,
        };
        let mut effects = self.open_stripe(index, &open_stripe);
        let Outcome::StripeOpened { stripe } = effects.outcome else {
            return effects;
        };
        let lane = next_id(self.lanes.keys());
        let chain = first_chain(
            &self.cluster_id,
            self.generation,
            lane,
            open.owner_node,
            open.owner_incarnation,
        );
        let (chain_high, chain_low) = chain_halves(chain);
        let row = Lane {
            owner_node: open.owner_node,
            owner_incarnation: open.owner_incarnation,
            stripe,
            chain_high,
            chain_low,
            request_id: open.request_id.clone(),
            opened_index: index,
            ..Lane::default()
        };
        self.lanes.insert(lane, row);
        effects.outcome = Outcome::LaneOpened { lane };
        effects
            .events
            .extend(self.lane_opened(lane).map(Event::LaneOpened));
        effects
    }

    /// The fact that a lane was opened, with its first chain. Exact only for a lane that is empty still,
    /// or as an answer to its owner's retry, which may see a later chain: the first one is computed anew.
    pub(crate) fn lane_opened(&self, lane: u64) -> Option<v1::LaneOpened> {
        let row = self.lanes.get(&lane)?;
        let (node_id, incarnation) = (row.owner_node, row.owner_incarnation);
        let chain = first_chain(
            &self.cluster_id,
            self.generation,
            lane,
            node_id,
            incarnation,
        );
        let (chain_high, chain_low) = chain_halves(chain);
        let stripe = self.stripes.get(&row.stripe)?;
        Some(v1::LaneOpened {
            lane,
            owner: Some(v1::Owner {
                node_id,
                incarnation,
            }),
            stripe: row.stripe,
            units: stripe
                .units
                .iter()
                .filter_map(|id| self.unit_ref(*id))
                .collect(),
            write_quorum: stripe.write_quorum,
            raft_index: row.opened_index,
            chain_high,
            chain_low,
            request_id: row.request_id.clone().into(),
        })
    }

    pub(super) fn seal_lane(&mut self, index: u64, id: u64) -> Effects {
        let end_lsn = self.next_lsn;
        let Some(lane) = self.lanes.get_mut(&id) else {
            return Effects::refused(
                Code::NotFound,
                format!("lane {id}"),
                "there is no such lane",
            );
        };
        let final_length = lane.length;
        let outcome = Outcome::LaneSealed { final_length };
        if lane.sealed {
            return Effects::quiet(outcome);
        }
        (lane.sealed, lane.end_lsn) = (true, end_lsn);
        let sealed = v1::LaneSealed {
            lane: id,
            final_length,
            raft_index: index,
        };
        Effects {
            outcome,
            events: vec![Event::LaneSealed(sealed)],
            members_changed: false,
        }
    }
}
