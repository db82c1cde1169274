//! `Linked`: a file or symlink gets one more name. What its names share moves into the inode's own row, for good.
use super::inode;
use crate::fold::Stage;
use crate::state::rows::Versioned;
use crate::state::values::EntryValue;
use crate::state::{keys, linked};
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, link: &v1::Linked) -> Result<(), ViewError> {
    let from = keys::entry(link.tree, link.from_parent, &link.from_name);
    let to = keys::entry(link.tree, link.to_parent, &link.to_name);
    let found = inode::holder(stage, link.tree, link.from_parent, &link.from_name)?;
    let Some((holder, value)) = found else {
        return Ok(());
    };
    if from == to || value.kind() == v1::Kind::Directory {
        return Ok(());
    }
    if let Some(replaced) = stage.row::<EntryValue>(Versioned::Namespace, &to)? {
        inode::unlink(stage, link.tree, &replaced.value)?;
        stage.count(0, -1)?;
    }
    let name = linked::name(&value);
    if holder == from {
        stage.put_row(Versioned::Namespace, &from, Some(&name))?;
    }
    let shared = EntryValue {
        links: value.links.max(1) + 1,
        ..value
    };
    let own = keys::own(link.tree, shared.inode);
    stage.put_row(Versioned::Namespace, &own, Some(&shared))?;
    stage.put_row(Versioned::Namespace, &to, Some(&name))?;
    stage.count(0, 1)
}
