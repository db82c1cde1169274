//! RemoveUnit: a unit that holds nothing which others do not hold leaves for good.
use super::SequencerRole;
use crate::board::Seen;
use crate::order::command::{Kind, SetUnit};
use dfs_wire::v1::UnitState;
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn remove_a_unit(
        &self,
        asked: v1::RemoveUnitRequest,
    ) -> Result<v1::UnitRemoved, Refusal> {
        let what = format!("unit {}", asked.unit_id);
        self.leading(&what, |seen| self.may_go(seen, &asked, &what))?;
        let set = SetUnit {
            unit: asked.unit_id,
            state: UnitState::Dead as i32,
            lost: asked.lost,
        };
        self.propose(&what, Kind::SetUnit(set)).await?;
        Ok(v1::UnitRemoved {})
    }

    /// What the order cannot know: extents, and whether a unit that is said to be lost is there.
    fn may_go(
        &self,
        seen: &Seen,
        asked: &v1::RemoveUnitRequest,
        what: &str,
    ) -> Result<(), Refusal> {
        let (id, sight) = (asked.unit_id, seen.sight());
        let refused = |why: String, advice: &str| {
            let refusal = Refusal::new(Code::State, what, why);
            Err(refusal.advice(advice))
        };
        if seen.order.units.get(&id).is_some_and(|unit| unit.removed) {
            return Ok(());
        }
        if asked.lost {
            return match sight.is_there(id) {
                true => refused("it is there, so it is not lost".into(), "Drain it"),
                false => Ok(()),
            };
        }
        let told = self.progress(seen, id);
        if !told.drained {
            let (open, closed) = (told.open_stripes, told.stripes_to_copy);
            let why =
                format!("{open} open stripes lie on it, {closed} closed ones are to be copied");
            return refused(why, "Drain it, and wait until it is drained");
        }
        if sight.space(id).is_none() {
            let why = "it has not said what it holds".to_string();
            return refused(why, "Start it, or say that it is lost");
        }
        if told.extents > 0 {
            let (extents, bytes) = (told.extents, told.extent_bytes);
            let why = format!("it holds {extents} extents of files, {bytes} bytes");
            return refused(why, "Extents are not moved yet: it has to stay");
        }
        Ok(())
    }
}
