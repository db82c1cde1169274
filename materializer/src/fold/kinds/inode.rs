//! What all names of an inode share: where it lies, and what becomes of it when a name goes.
use super::file_content;
use crate::fold::Stage;
use crate::state::keys;
use crate::state::rows::Versioned;
use crate::state::values::EntryValue;
use crate::view::ViewError;

/// The row that holds the attributes and the content of an entry: its own, or that of its inode.
pub(crate) fn holder(
    stage: &mut Stage<'_>,
    tree: u64,
    parent: u64,
    name: &[u8],
) -> Result<Option<(Vec<u8>, EntryValue)>, ViewError> {
    let key = keys::entry(tree, parent, name);
    let Some(row) = stage.row::<EntryValue>(Versioned::Namespace, &key)? else {
        return Ok(None);
    };
    if !row.value.linked {
        return Ok(Some((key, row.value)));
    }
    let key = keys::own(tree, row.value.inode);
    let own = stage.row::<EntryValue>(Versioned::Namespace, &key)?;
    Ok(own.map(|own| (key, own.value)))
}

/// A name goes, and with the last one the content. The caller ends the entry.
pub(crate) fn unlink(
    stage: &mut Stage<'_>,
    tree: u64,
    entry: &EntryValue,
) -> Result<(), ViewError> {
    if !entry.linked {
        return file_content::drop_all(stage, tree, entry);
    }
    let key = keys::own(tree, entry.inode);
    let Some(own) = stage.row::<EntryValue>(Versioned::Namespace, &key)? else {
        return Ok(());
    };
    let left = EntryValue {
        links: own.value.links.saturating_sub(1),
        ..own.value
    };
    if left.links > 0 {
        return stage.put_row(Versioned::Namespace, &key, Some(&left));
    }
    file_content::drop_all(stage, tree, &left)?;
    stage.put_row::<EntryValue>(Versioned::Namespace, &key, None)
}
