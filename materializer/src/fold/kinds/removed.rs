//! `Removed`: an entry disappears. A directory that is not empty is detached, with all that lies below it.
use super::inode;
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::rows::Versioned;
use crate::state::values::{DirectoryValue, EntryValue, PlaceValue};
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, removed: &v1::Removed) -> Result<(), ViewError> {
    let key = keys::entry(removed.tree, removed.parent, &removed.name);
    let Some(old) = stage.row::<EntryValue>(Versioned::Namespace, &key)? else {
        return Ok(());
    };
    inode::unlink(stage, removed.tree, &old.value)?;
    stage.put_row::<EntryValue>(Versioned::Namespace, &key, None)?;
    if old.value.kind() == v1::Kind::Directory {
        end_directory(stage, removed.tree, old.value.inode)?;
    }
    stage.count(0, -1)
}

/// FOLD-B5: what lies below a detached directory stays until the reaper unlinks it.
fn end_directory(stage: &mut Stage<'_>, tree: u64, inode: u64) -> Result<(), ViewError> {
    let own_key = keys::own(tree, inode);
    let place_key = keys::control(letter::PLACE, &[tree, inode]);
    if stage.is_overlay() {
        stage.mark(&own_key);
        return stage.put_row::<PlaceValue>(Versioned::Skeleton, &place_key, None);
    }
    let own = stage.row::<DirectoryValue>(Versioned::Namespace, &own_key)?;
    if own.is_none_or(|own| own.value.children == 0) {
        stage.put_row::<DirectoryValue>(Versioned::Namespace, &own_key, None)?;
        return stage.put_row::<PlaceValue>(Versioned::Skeleton, &place_key, None);
    }
    let Some(place) = stage.row::<PlaceValue>(Versioned::Skeleton, &place_key)? else {
        return Ok(());
    };
    let detached = PlaceValue {
        detached: true,
        ..place.value
    };
    stage.put_row(Versioned::Skeleton, &place_key, Some(&detached))
}
