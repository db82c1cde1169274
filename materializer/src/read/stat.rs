//! One entry.
use super::At;
use super::entry::entry;
use crate::state::walk::{self, Errand, store_failed};
use dfs_wire::{Refusal, v1};

/// # Errors
/// NOT_FOUND, WRONG_KIND, INVALID, all with the LSN they are true at.
pub fn stat(at: At<'_>, path: &v1::Path, with_content: bool) -> Result<v1::Entry, Refusal> {
    whole(at, path, with_content, false)
}

/// The same with extended attributes.
pub fn stat_with_xattrs(
    at: At<'_>,
    path: &v1::Path,
    with_content: bool,
) -> Result<v1::Entry, Refusal> {
    whole(at, path, with_content, true)
}

fn whole(
    at: At<'_>,
    path: &v1::Path,
    with_content: bool,
    with_xattrs: bool,
) -> Result<v1::Entry, Refusal> {
    let errand = Errand { verb: "stat", path };
    let located = walk::locate(&at, errand).map_err(|refusal| refusal.at(at.lsn))?;
    let Some(row) = located.entry else {
        return Err(errand.not_found().at(at.lsn));
    };
    let xattrs = match with_xattrs {
        true => row.value.xattrs.clone(),
        false => Vec::new(),
    };
    let (tree, parent) = (path.tree, located.parent);
    let entry = entry(at, tree, parent, located.name, row, with_content);
    let entry = entry.map_err(store_failed)?;
    Ok(v1::Entry { xattrs, ..entry })
}
