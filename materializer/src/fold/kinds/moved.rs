//! `Moved`: an entry gets another place and keeps its inode.
use super::inode;
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::rows::Versioned;
use crate::state::values::{EntryValue, PlaceValue};
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, moved: &v1::Moved) -> Result<(), ViewError> {
    let from = keys::entry(moved.tree, moved.from_parent, &moved.from_name);
    let to = keys::entry(moved.tree, moved.to_parent, &moved.to_name);
    let Some(row) = stage.row::<EntryValue>(Versioned::Namespace, &from)? else {
        return Ok(());
    };
    if from == to {
        return Ok(());
    }
    if let Some(replaced) = stage.row::<EntryValue>(Versioned::Namespace, &to)? {
        inode::unlink(stage, moved.tree, &replaced.value)?;
        stage.count(0, -1)?;
    }
    stage.put_row::<EntryValue>(Versioned::Namespace, &from, None)?;
    stage.put_row(Versioned::Namespace, &to, Some(&row.value))?;
    if row.value.kind() != v1::Kind::Directory {
        return Ok(());
    }
    let place = PlaceValue {
        parent: moved.to_parent,
        name: moved.to_name.clone(),
        detached: false,
    };
    let key = keys::control(letter::PLACE, &[moved.tree, row.value.inode]);
    stage.put_row(Versioned::Skeleton, &key, Some(&place))
}
