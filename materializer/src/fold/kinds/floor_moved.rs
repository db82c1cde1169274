//! `FloorMoved`: how far back reads go (FOLD-B3, FOLD-X3). What lies below is let go of beside the fold.
use crate::fold::Stage;
use crate::state::floor;
use crate::state::keys::letter;
use crate::state::values::FloorValue;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

/// It never goes back, and never beyond what is folded.
pub(crate) fn apply(stage: &mut Stage<'_>, moved: &v1::FloorMoved) -> Result<(), ViewError> {
    if stage.is_overlay() || moved.floor_lsn <= floor(&stage.read())? {
        return Ok(());
    }
    let lsn = moved.floor_lsn.min(stage.lsn);
    stage.put(
        Keyspace::Control,
        &[letter::FLOOR],
        Some(&FloorValue { lsn }),
    )
}
