//! MoveLane: the seal of a lane and the opening of its successor are one command (LOG-A4, LOG-I7).
use crate::order::command::{MoveLane, OpenLane};
use crate::order::{Effects, Order, Outcome};
use dfs_wire::Code;

impl Order {
    /// A lane has one successor for ever: whoever asks again is told the same. Nothing is sealed when
    /// the successor cannot be opened.
    pub(super) fn move_lane(&mut self, index: u64, moved: &MoveLane) -> Effects {
        let what = || format!("lane {}", moved.lane);
        let Some(lane) = self.lanes.get(&moved.lane) else {
            return Effects::refused(Code::NotFound, what(), "there is no such lane");
        };
        let owner = (lane.owner_node, lane.owner_incarnation);
        if owner != (moved.owner_node, moved.owner_incarnation) {
            return Effects::refused(Code::Mismatch, what(), "it has another owner (LOG-A1)");
        }
        if lane.successor != 0 {
            let (final_length, lane) = (lane.length, lane.successor);
            return Effects::quiet(Outcome::LaneMoved { final_length, lane });
        }
        let open = OpenLane {
            request_id: Vec::new(),
            owner_node: moved.owner_node,
            owner_incarnation: moved.owner_incarnation,
            units: moved.units.clone(),
            write_quorum: moved.write_quorum,
        };
        let opened = self.add_lane(index, &open);
        let Outcome::LaneOpened { lane: successor } = opened.outcome else {
            return opened;
        };
        let sealed = self.seal_lane(index, moved.lane);
        let Outcome::LaneSealed { final_length } = sealed.outcome else {
            unreachable!("lane {} is there", moved.lane);
        };
        if let Some(lane) = self.lanes.get_mut(&moved.lane) {
            assert!(lane.sealed && lane.length == final_length, "I6: not final");
            lane.successor = successor;
        }
        let mut events = sealed.events;
        events.extend(opened.events);
        Effects {
            outcome: Outcome::LaneMoved {
                final_length,
                lane: successor,
            },
            events,
            members_changed: false,
        }
    }
}
