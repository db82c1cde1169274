//! MoveLane: a lane goes on elsewhere, where its owner and the leader see room for it (LOG-A4).
use super::SequencerRole;
use super::open_lane::{answer, refusal};
use crate::board::Seen;
use crate::membership::placement::Placed;
use crate::order::Outcome;
use crate::order::command::{Kind, MoveLane};
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn move_a_lane(
        &self,
        request: v1::MoveLaneRequest,
    ) -> Result<v1::LaneMoved, Refusal> {
        let owner = request.owner.unwrap_or_default();
        let what = format!("lane {}", request.lane);
        let placed = self.leading(&what, |seen| self.place_again(seen, &what, &request))?;
        let moved = MoveLane {
            lane: request.lane,
            owner_node: owner.node_id,
            owner_incarnation: owner.incarnation,
            units: placed.units,
            write_quorum: placed.write_quorum,
        };
        match self.propose(&what, Kind::MoveLane(moved)).await? {
            Outcome::LaneMoved { final_length, lane } => {
                let successor = Some(self.board.with(|seen| answer(seen, lane))?);
                Ok(v1::LaneMoved {
                    final_length,
                    successor,
                })
            }
            other => unreachable!("MoveLane was answered by {other:?}"),
        }
    }

    /// A sealed lane goes on wherever a new one could. An open one moves only to a whole stripe without
    /// the units that its owner complains of: it may wait for them where it is.
    fn place_again(
        &self,
        seen: &Seen,
        what: &str,
        request: &v1::MoveLaneRequest,
    ) -> Result<Placed, Refusal> {
        let (redundancy, avoid) = (self.config.redundancy, &request.avoid_units);
        let lane = seen.order.lanes.get(&request.lane);
        if lane.is_none_or(|lane| lane.successor != 0) {
            // The order answers, or refuses, without a place.
            let (units, write_quorum) = (Vec::new(), 0);
            return Ok(Placed {
                units,
                write_quorum,
            });
        }
        if lane.is_some_and(|lane| lane.sealed) {
            let placed = seen.sight().place(redundancy, avoid);
            return placed.map_err(|unplaced| refusal(what, unplaced));
        }
        let better = seen.sight().place_whole(redundancy, avoid);
        better.ok_or_else(|| {
            let why = "no other units live and have room";
            Refusal::new(Code::NotYet, what, why).advice("It waits for the units that it has")
        })
    }
}
