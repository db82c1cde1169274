//! `GroupOpened`, `GroupClosed` (FOLD-B0, FOLD-B1).
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::{self};
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

pub(crate) fn opened(stage: &mut Stage<'_>, opened: &v1::GroupOpened) -> Result<(), ViewError> {
    let Some(group) = &opened.group else {
        return Ok(());
    };
    stage.put(
        Keyspace::Control,
        &keys::control(letter::GROUP, &[group.group]),
        Some(group),
    )?;
    stage.count(group.group, 0)
}

/// The generation stays: what was stored while the group was open may still be committed.
pub(crate) fn closed(stage: &mut Stage<'_>, closed: &v1::GroupClosed) -> Result<(), ViewError> {
    let Some(group) = state::group(&stage.read(), closed.group)? else {
        return Ok(());
    };
    let group = v1::Group {
        closed: true,
        ..group
    };
    stage.put(
        Keyspace::Control,
        &keys::control(letter::GROUP, &[group.group]),
        Some(&group),
    )
}
