//! `SlotDone`: the result that a retry gets (FOLD-S2, FOLD-S3, FOLD-P4).
use crate::fold::Stage;
use crate::state::keys;
use crate::state::values::SlotValue;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;
use dfs_wire::v1::slot_result::Outcome;

pub(crate) fn apply(stage: &mut Stage<'_>, done: &v1::SlotDone) -> Result<(), ViewError> {
    let key = keys::slot(done.session, done.shard, done.slot);
    let before = stage.value::<SlotValue>(Keyspace::Slots, &key)?;
    if before.is_some_and(|before| !replaces(done, &before)) {
        return Ok(());
    }
    let value = SlotValue {
        seq: done.seq,
        attempt: done.attempt,
        lsn: stage.lsn,
        log_time_us: stage.log_time_us,
        result: done.result.clone(),
    };
    stage.put(Keyspace::Slots, &key, Some(&value))
}

/// The larger seq wins; within one, success counts from any attempt and a refusal only from the last.
fn replaces(done: &v1::SlotDone, before: &SlotValue) -> bool {
    if done.seq != before.seq {
        return done.seq > before.seq;
    }
    let succeeded = |result: Option<&v1::SlotResult>| {
        matches!(
            result.and_then(|result| result.outcome.as_ref()),
            Some(Outcome::Done(_))
        )
    };
    match (
        succeeded(before.result.as_ref()),
        succeeded(done.result.as_ref()),
    ) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => done.attempt >= before.attempt,
    }
}
