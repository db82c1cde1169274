//! One entry.
use super::At;
use super::entry::entry;
use crate::state::walk::{self, Errand, store_failed};
use dfs_wire::{Refusal, v1};

/// # Errors
/// NOT_FOUND, WRONG_KIND, INVALID, all with the LSN they are true at.
pub fn stat(at: At<'_>, path: &v1::Path, with_content: bool) -> Result<v1::Entry, Refusal> {
    let errand = Errand { verb: "stat", path };
    let located = walk::locate(&at, errand).map_err(|refusal| refusal.at(at.lsn))?;
    let Some(row) = located.entry else {
        return Err(errand.not_found().at(at.lsn));
    };
    entry(
        at,
        path.tree,
        located.parent,
        located.name,
        row,
        with_content,
    )
    .map_err(store_failed)
}
