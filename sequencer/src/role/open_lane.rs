//! OpenLane: a lane of its own for one appender (LOG-A1, LOG-D6).
use super::SequencerRole;
use super::register::NONCE_BYTES;
use crate::board::Seen;
use crate::membership::placement::{Placed, Unplaced};
use crate::order::Outcome;
use crate::order::command::{Kind, OpenLane};
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn open_a_lane(
        &self,
        request: v1::OpenLaneRequest,
    ) -> Result<v1::LaneOpened, Refusal> {
        let owner = request.owner.unwrap_or_default();
        let what = format!("lane for node {}", owner.node_id);
        if request.request_id.len() != NONCE_BYTES {
            return Err(Refusal::new(
                Code::Invalid,
                what,
                "its request id is not of 16 bytes",
            ));
        }
        let placed = self.leading(&what, |seen| self.place(seen, &what, &request.request_id))?;
        let open = OpenLane {
            request_id: request.request_id.to_vec(),
            owner_node: owner.node_id,
            owner_incarnation: owner.incarnation,
            units: placed.units,
            write_quorum: placed.write_quorum,
        };
        match self.propose(&what, Kind::OpenLane(open)).await? {
            Outcome::LaneOpened { lane } => self.board.with(|seen| answer(seen, lane)),
            other => unreachable!("OpenLane was answered by {other:?}"),
        }
    }

    /// A retry needs no place: its lane exists.
    fn place(&self, seen: &Seen, what: &str, request_id: &[u8]) -> Result<Placed, Refusal> {
        if seen
            .order
            .lanes
            .values()
            .any(|lane| lane.request_id == request_id)
        {
            return Ok(Placed {
                units: Vec::new(),
                write_quorum: 0,
            });
        }
        let placed = seen.sight().place(self.config.redundancy, &[]);
        placed.map_err(|unplaced| refusal(what, unplaced))
    }
}

/// Why there is no place for a lane now.
pub(super) fn refusal(what: &str, unplaced: Unplaced) -> Refusal {
    match unplaced {
        Unplaced::TooFew { usable, needed } => {
            let why = format!("{usable} units live and have room, {needed} are needed");
            Refusal::new(Code::Unavailable, what, why).advice("Start the missing units")
        }
        Unplaced::Full { full, needed } => {
            let why = format!("{full} units are full, so fewer than {needed} have room");
            Refusal::new(Code::NoSpace, what, why)
        }
    }
}

/// The lane as it was opened, with what is known of its units now.
pub(super) fn answer(seen: &Seen, lane: u64) -> Result<v1::LaneOpened, Refusal> {
    let opened = seen.order.lane_opened(lane);
    let mut opened = opened.unwrap_or_else(|| unreachable!("lane {lane} was just opened"));
    for unit in &mut opened.units {
        if let Some(now) = seen.unit_ref(unit.unit_id) {
            *unit = now;
        }
    }
    Ok(opened)
}
