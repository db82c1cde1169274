//! `AclSet`: who else may do what with an inode; its mode holds the rest.
use super::inode;
use crate::fold::Stage;
use crate::state::rows::Versioned;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, set: &v1::AclSet) -> Result<(), ViewError> {
    let holder = inode::holder(stage, set.tree, set.parent, &set.name)?;
    let Some((key, mut entry)) = holder else {
        return Ok(());
    };
    entry.acl = set.access.clone();
    entry.default_acl = set.default_acl.clone();
    stage.put_row(Versioned::Namespace, &key, Some(&entry))
}
