//! SetUnit: a unit begins to leave, stays after all, or is gone for good.
use crate::order::command::SetUnit;
use crate::order::{Effects, Order, Outcome};
use dfs_wire::Code;
use dfs_wire::v1::UnitState;

impl Order {
    /// Dead only when others hold what it held, unless it is lost and nothing of it can be had.
    pub(super) fn set_unit(&mut self, set: &SetUnit) -> Effects {
        let what = || format!("unit {}", set.unit);
        let Some(unit) = self.units.get(&set.unit) else {
            return Effects::refused(Code::NotFound, what(), "there is no such unit");
        };
        let (before, after) = (unit.state(), set.state());
        let removes = after == UnitState::Dead;
        if before == after && (!removes || unit.removed) {
            return Effects::quiet(Outcome::Stands);
        }
        let why = match (before, after) {
            (UnitState::Dead, UnitState::Dead) => None,
            (UnitState::Dead, _) => Some("it is Dead"),
            (_, UnitState::Draining | UnitState::Active) => None,
            (_, UnitState::Dead) if set.lost => None,
            (UnitState::Draining, UnitState::Dead) => self.stays_for(set.unit),
            _ => Some("it has to be drained first"),
        };
        if let Some(why) = why {
            return Effects::refused(Code::State, what(), why);
        }
        if let Some(unit) = self.units.get_mut(&set.unit) {
            unit.set_state(after);
            unit.removed = removes;
        }
        Effects {
            members_changed: true,
            ..Effects::quiet(Outcome::Stands)
        }
    }

    fn stays_for(&self, unit: u64) -> Option<&'static str> {
        if self.open_stripes_over(unit) > 0 {
            return Some("an open stripe lies on it");
        }
        let copied = self.held_by_too_few_but(unit).next().is_none();
        (!copied).then_some("too few others hold what lies on it")
    }
}
