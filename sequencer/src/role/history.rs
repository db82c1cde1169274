//! History and ChangeHistory: how far back the log goes, and what holds it.
use super::SequencerRole;
use crate::order::Outcome;
use crate::order::command::Kind;
use dfs_wire::v1::history_change::Change;
use dfs_wire::{Code, Refusal, v1};

/// A name is read by people, and stands in Raft's state.
const NAME_BYTES_MAX: usize = 255;
/// Where a snapshot's list of extents lies, not the list itself.
const LOCATION_BYTES_MAX: usize = 16_384;

impl SequencerRole {
    pub(super) fn tell_history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        self.leading("history", |seen| Ok(seen.order.history_answer()))
    }

    pub(super) async fn change_the_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        let kind = kind_of(change)?;
        self.leading("history", |_| Ok(()))?;
        match self.propose("history", kind).await? {
            Outcome::Stands => {}
            other => unreachable!("a change of history was answered by {other:?}"),
        }
        self.board.stirred.notify_one(); // trim may go on
        Ok(self.board.with(|seen| seen.order.history_answer()))
    }
}

fn kind_of(change: v1::HistoryChange) -> Result<Kind, Refusal> {
    let invalid = |why: &str| Refusal::new(Code::Invalid, "history", why);
    let (name, kind) = match change.change {
        Some(Change::Pin(pin)) => (pin.name.clone(), Kind::Pin(pin)),
        Some(Change::Unpin(unpin)) => (unpin.name.clone(), Kind::Unpin(unpin)),
        Some(Change::AdvancePin(advance)) => (advance.name.clone(), Kind::AdvancePin(advance)),
        Some(Change::SnapshotDone(done)) if done.location.len() > LOCATION_BYTES_MAX => {
            return Err(invalid("the location of a snapshot is too long"));
        }
        Some(Change::SnapshotDone(done)) => return Ok(Kind::SnapshotDone(done)),
        None => return Err(invalid("it asks for nothing")),
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(invalid("a pin's name has 1 to 255 bytes"));
    }
    Ok(kind)
}
