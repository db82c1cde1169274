//! `SnapshotTaken`: its extents live until two newer ones are taken (FOLD-X2).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::snapshots;
use crate::state::values::HoldValue;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

/// What a replica loads, and what it loads if that is damaged.
const KEPT: usize = 2;

pub(crate) fn apply(stage: &mut Stage<'_>, taken: &v1::SnapshotTaken) -> Result<(), ViewError> {
    if stage.is_overlay() {
        return Ok(());
    }
    let known = snapshots(&stage.read(), taken.shard)?;
    if known.last().is_some_and(|newest| newest.lsn >= taken.lsn) {
        return Ok(()); // an older owner's: its extents die with their session
    }
    let key = keys::control(letter::SNAPSHOT, &[taken.shard, taken.lsn]);
    stage.put(Keyspace::Control, &key, Some(taken))?;
    for extent in &taken.extents {
        let hold = HoldValue {
            group: extent.group,
            generation: extent.generation,
            stored_length: extent.stored_length,
            made: stage.lsn,
            released: 0,
        };
        put(stage, taken.shard, extent, &hold)?;
    }
    for old in known.iter().rev().skip(KEPT - 1) {
        release(stage, old)?;
    }
    Ok(())
}

fn release(stage: &mut Stage<'_>, old: &v1::SnapshotTaken) -> Result<(), ViewError> {
    let key = keys::control(letter::SNAPSHOT, &[old.shard, old.lsn]);
    stage.put::<()>(Keyspace::Control, &key, None)?;
    for extent in &old.extents {
        let key = keys::snapshot_hold(&extent.extent.unwrap_or_default(), old.shard);
        if let Some(hold) = stage.value::<HoldValue>(Keyspace::Blocks, &key)? {
            let released = stage.lsn;
            put(stage, old.shard, extent, &HoldValue { released, ..hold })?;
        }
    }
    Ok(())
}

fn put(
    stage: &mut Stage<'_>,
    shard: u64,
    extent: &v1::ExtentRef,
    hold: &HoldValue,
) -> Result<(), ViewError> {
    let key = keys::snapshot_hold(&extent.extent.unwrap_or_default(), shard);
    stage.put(Keyspace::Blocks, &key, Some(hold))
}
