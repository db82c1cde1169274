//! `ContentSet`: a file gets other bytes.
use super::{file_content, inode};
use crate::fold::Stage;
use crate::state::rows::Versioned;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, set: &v1::ContentSet) -> Result<(), ViewError> {
    let holder = inode::holder(stage, set.tree, set.parent, &set.name)?;
    let Some((key, mut entry)) = holder else {
        return Ok(());
    };
    let empty = v1::Content::default();
    file_content::set(
        stage,
        set.tree,
        &mut entry,
        set.content.as_ref().unwrap_or(&empty),
    )?;
    stage.put_row(Versioned::Namespace, &key, Some(&entry))
}
