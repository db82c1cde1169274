//! RemoveNode: a process that holds no unit leaves for good; its lanes end.
use crate::order::{Effects, Order, Outcome};
use dfs_wire::Code;
use dfs_wire::v1::UnitState;

impl Order {
    /// Its row stays, without an incarnation that could be its own: it counts as gone for ever, and its
    /// number is never given again.
    pub(super) fn remove_node(&mut self, index: u64, id: u64) -> Effects {
        let what = format!("node {id}");
        let Some(member) = self.members.get(&id) else {
            return Effects::refused(Code::NotFound, what, "there is no such process");
        };
        if member.removed {
            return Effects::refused(Code::NotFound, what, "it was removed already");
        }
        let mut units = self.units.values();
        if units.any(|unit| unit.node_id == id && unit.state() != UnitState::Dead) {
            return Effects::refused(Code::State, what, "it holds log units");
        }
        if let Some(member) = self.members.get_mut(&id) {
            (member.removed, member.incarnation) = (true, 0);
        }
        let own = self.lanes.iter();
        let own = own.filter(|(_, lane)| lane.owner_node == id && !lane.sealed);
        let own: Vec<u64> = own.map(|(lane, _)| *lane).collect();
        let sealed = own
            .into_iter()
            .flat_map(|lane| self.seal_lane(index, lane).events);
        let events = sealed.collect();
        Effects {
            outcome: Outcome::Stands,
            events,
            members_changed: true,
        }
    }
}
