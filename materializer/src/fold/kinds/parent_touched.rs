//! `ParentTouched`: a delta on a directory's own row (FOLD-P1).
use crate::fold::Stage;
use crate::state::keys;
use crate::state::rows::Versioned;
use crate::state::values::DirectoryValue;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, touched: &v1::ParentTouched) -> Result<(), ViewError> {
    let key = keys::own(touched.tree, touched.inode);
    if stage.is_overlay() {
        stage.mark(&key);
        return Ok(());
    }
    let Some(row) = stage.row::<DirectoryValue>(Versioned::Namespace, &key)? else {
        return Ok(());
    };
    let own = DirectoryValue {
        mtime_ns: row.value.mtime_ns.max(touched.mtime_ns),
        children: row
            .value
            .children
            .saturating_add_signed(i64::from(touched.children)),
    };
    stage.put_row(Versioned::Namespace, &key, Some(&own))
}
