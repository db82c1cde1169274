//! `XattrSet`: extended attributes of an inode, sorted by name in its row.
use super::inode;
use crate::fold::Stage;
use crate::state::rows::Versioned;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, set: &v1::XattrSet) -> Result<(), ViewError> {
    let holder = inode::holder(stage, set.tree, set.parent, &set.name)?;
    let Some((key, mut entry)) = holder else {
        return Ok(());
    };
    entry.xattrs = after(entry.xattrs, set);
    stage.put_row(Versioned::Namespace, &key, Some(&entry))
}

/// Planners count by it, too.
pub(crate) fn after(before: Vec<v1::Xattr>, set: &v1::XattrSet) -> Vec<v1::Xattr> {
    let stays = |xattr: &v1::Xattr| {
        !set.removed.contains(&xattr.name) && set.set.iter().all(|new| new.name != xattr.name)
    };
    let mut after: Vec<v1::Xattr> = before.into_iter().filter(stays).collect();
    after.extend(set.set.iter().cloned());
    after.sort_by(|one, other| one.name.cmp(&other.name));
    after
}
