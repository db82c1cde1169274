//! The whole content of a file: in its entry, or in chunk rows beyond 64 extents (FOLD, "Placement of rows").
use super::keys;
use super::rows;
use super::scan_at::{self, ScanAt};
use super::values::{ChunkValue, EntryValue};
use crate::view::{Read, ViewError};
use dfs_wire::v1;

/// Extents that an entry's row holds at most, and a chunk row.
pub(crate) const EXTENTS_PER_ROW: usize = 64;

/// The current content with all its extents.
pub(crate) fn current(
    read: &dyn Read,
    tree: u64,
    entry: &EntryValue,
) -> Result<v1::Content, ViewError> {
    whole(entry, |from, to| scan_at::now(read, from, to), tree)
}

/// The same, of an entry as it was at `lsn`.
pub(crate) fn at(
    read: &dyn Read,
    tree: u64,
    entry: &EntryValue,
    lsn: u64,
) -> Result<v1::Content, ViewError> {
    whole(entry, |from, to| scan_at::past(read, from, to, lsn), tree)
}

fn whole<'a>(
    entry: &EntryValue,
    scan: impl FnOnce(&[u8], &[u8]) -> ScanAt<'a>,
    tree: u64,
) -> Result<v1::Content, ViewError> {
    let mut content = entry.content.clone().unwrap_or_default();
    if entry.chunked_extents == 0 {
        return Ok(content);
    }
    let (from, to) = keys::chunks(tree, entry.inode);
    for row in scan(&from, &to) {
        content
            .extents
            .extend(rows::value_of::<ChunkValue>(row?.1.value)?.extents);
    }
    if content.extents.len() == entry.chunked_extents as usize {
        return Ok(content);
    }
    Err(ViewError::Format(format!(
        "inode {} lacks chunk rows",
        entry.inode
    )))
}
