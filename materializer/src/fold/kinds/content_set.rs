//! `ContentSet`: a file gets other bytes.
use super::file_content;
use crate::fold::Stage;
use crate::state::keys;
use crate::state::rows::Versioned;
use crate::state::values::EntryValue;
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, set: &v1::ContentSet) -> Result<(), ViewError> {
    let key = keys::entry(set.tree, set.parent, &set.name);
    let Some(row) = stage.row::<EntryValue>(Versioned::Namespace, &key)? else {
        return Ok(());
    };
    let mut entry = row.value;
    let empty = v1::Content::default();
    file_content::set(
        stage,
        set.tree,
        &mut entry,
        set.content.as_ref().unwrap_or(&empty),
    )?;
    stage.put_row(Versioned::Namespace, &key, Some(&entry))
}
