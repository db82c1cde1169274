//! `AttrSet`: mode, owner or mtime of an entry.
use super::inode;
use crate::fold::Stage;
use crate::state::keys;
use crate::state::rows::Versioned;
use crate::state::values::DirectoryValue;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, set: &v1::AttrSet) -> Result<(), ViewError> {
    let holder = inode::holder(stage, set.tree, set.parent, &set.name)?;
    let Some((key, mut entry)) = holder else {
        return Ok(());
    };
    let attr = entry.attr.get_or_insert_default();
    attr.mode = set.mode.unwrap_or(attr.mode);
    attr.uid = set.uid.unwrap_or(attr.uid);
    attr.gid = set.gid.unwrap_or(attr.gid);
    attr.mtime_ns = set.mtime_ns.unwrap_or(attr.mtime_ns);
    stage.put_row(Versioned::Namespace, &key, Some(&entry))?;
    match set.mtime_ns {
        Some(mtime_ns) if entry.kind() == v1::Kind::Directory => {
            let own = keys::own(set.tree, entry.inode);
            set_directory_time(stage, &own, mtime_ns)
        }
        _ => Ok(()),
    }
}

/// Set by hand, a directory's mtime may also go back.
fn set_directory_time(stage: &mut Stage<'_>, own: &[u8], mtime_ns: i64) -> Result<(), ViewError> {
    if stage.is_overlay() {
        stage.mark(own);
        return Ok(());
    }
    let Some(row) = stage.row::<DirectoryValue>(Versioned::Namespace, own)? else {
        return Ok(());
    };
    stage.put_row(
        Versioned::Namespace,
        own,
        Some(&DirectoryValue {
            mtime_ns,
            ..row.value
        }),
    )
}
