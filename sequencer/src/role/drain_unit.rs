//! DrainUnit: a unit takes nothing new, and what it holds goes to others; how far that is (LOG.md §6).
use super::SequencerRole;
use crate::board::Seen;
use crate::order::command::{Kind, SetUnit};
use dfs_wire::v1::UnitState;
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn drain_a_unit(
        &self,
        asked: v1::DrainUnitRequest,
    ) -> Result<v1::DrainProgress, Refusal> {
        let (id, what) = (asked.unit_id, format!("unit {}", asked.unit_id));
        let after = match asked.undo {
            true => UnitState::Active,
            false => UnitState::Draining,
        };
        let is_so = self.leading(&what, |seen| {
            let unit = seen.order.units.get(&id);
            let unknown = || Refusal::new(Code::NotFound, what.clone(), "there is no such unit");
            let is_so = unit.ok_or_else(unknown)?.state() == after;
            if !is_so && !asked.undo {
                self.can_do_without(seen, id, &what)?;
            }
            Ok(is_so)
        })?;
        if !is_so {
            let set = SetUnit {
                unit: id,
                state: after as i32,
                lost: false,
            };
            self.propose(&what, Kind::SetUnit(set)).await?;
        }
        self.leading(&what, |seen| Ok(self.progress(seen, id)))
    }

    /// Else it would never end.
    fn can_do_without(&self, seen: &Seen, id: u64, what: &str) -> Result<(), Refusal> {
        let needed = self.config.redundancy.units as usize;
        let others = seen.order.units.keys().filter(|unit| **unit != id);
        let others = others.filter(|unit| seen.order.is_active(**unit)).count();
        if others >= needed {
            return Ok(());
        }
        let why = format!("without it there are {others} units, and {needed} are needed");
        Err(Refusal::new(Code::State, what, why).advice("Add another unit first"))
    }

    pub(super) fn progress(&self, seen: &Seen, id: u64) -> v1::DrainProgress {
        let order = &seen.order;
        let state = order.units.get(&id).map_or(0, |unit| unit.state);
        let mut told = v1::DrainProgress {
            unit_id: id,
            state,
            open_stripes: order.open_stripes_over(id) as u64,
            ..v1::DrainProgress::default()
        };
        for (_, stripe) in order.held_by_too_few_but(id) {
            told.stripes_to_copy += 1;
            told.records_to_copy += stripe.last_lsn + 1 - stripe.first_lsn;
        }
        if let Some(space) = seen.sight().space(id) {
            (told.extents, told.extent_bytes) = (space.extents, space.extent_bytes);
        }
        told.drained = told.open_stripes == 0 && told.stripes_to_copy == 0;
        if !told.drained {
            told.waits_for = self.obstacle(seen, id);
        }
        told
    }

    fn obstacle(&self, seen: &Seen, id: u64) -> String {
        let (sight, needed) = (seen.sight(), self.config.redundancy.units as usize);
        let units = seen.order.units.keys().copied();
        let usable = units.filter(|unit| sight.is_usable(*unit)).count();
        if usable < needed {
            return format!("{usable} other units live and have room, {needed} are needed");
        }
        let lacking = seen.order.held_by_too_few_but(id);
        let mut parts = lacking.flat_map(|(_, stripe)| stripe.units.iter().chain(&stripe.copies));
        let away = parts.find(|unit| seen.order.is_active(**unit) && !sight.is_there(**unit));
        away.map_or(String::new(), |unit| format!("unit {unit} to come back"))
    }
}
