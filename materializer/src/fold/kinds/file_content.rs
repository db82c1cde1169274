//! The content of a file as rows: its extents in the entry or in chunks, and the holds on each extent.
use crate::fold::Stage;
use crate::state::content::{self, EXTENTS_PER_ROW};
use crate::state::rows::{self, Versioned};
use crate::state::values::{ChunkValue, EntryValue, HoldValue};
use crate::state::{keys, scan_at};
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;
use std::collections::{BTreeMap, BTreeSet};

/// Gives the entry this content in place of what it had; the caller writes the entry.
pub(crate) fn set(
    stage: &mut Stage<'_>,
    tree: u64,
    entry: &mut EntryValue,
    content: &v1::Content,
) -> Result<(), ViewError> {
    let before = extents_before(stage, tree, entry)?;
    hold(stage, tree, entry.inode, &before, &content.extents)?;
    let chunked = content.extents.len() > EXTENTS_PER_ROW;
    if chunked || entry.chunked_extents > 0 {
        let chunks = if chunked { &content.extents[..] } else { &[] };
        write_chunks(stage, tree, entry.inode, chunks)?;
    }
    let mut kept = content.clone();
    entry.chunked_extents = 0;
    if chunked {
        entry.chunked_extents = kept.extents.len() as u32;
        kept.extents.clear();
    }
    entry.content = Some(kept);
    Ok(())
}

/// The entry's content goes: its chunks, and its holds on extents.
pub(crate) fn drop_all(
    stage: &mut Stage<'_>,
    tree: u64,
    entry: &EntryValue,
) -> Result<(), ViewError> {
    let before = extents_before(stage, tree, entry)?;
    hold(stage, tree, entry.inode, &before, &[])?;
    if entry.chunked_extents > 0 {
        write_chunks(stage, tree, entry.inode, &[])?;
    }
    Ok(())
}

fn extents_before(
    stage: &Stage<'_>,
    tree: u64,
    entry: &EntryValue,
) -> Result<Vec<v1::ExtentRef>, ViewError> {
    if entry.chunked_extents == 0 {
        let extents = entry
            .content
            .as_ref()
            .map(|content| content.extents.clone());
        return Ok(extents.unwrap_or_default());
    }
    Ok(content::current(&stage.read(), tree, entry)?.extents)
}

/// Rows of 64 extents; those that stay as they are keep their version.
fn write_chunks(
    stage: &mut Stage<'_>,
    tree: u64,
    inode: u64,
    extents: &[v1::ExtentRef],
) -> Result<(), ViewError> {
    let mut before = BTreeMap::new();
    let (from, to) = keys::chunks(tree, inode);
    for row in scan_at::now(&stage.read(), &from, &to) {
        let (key, row) = row?;
        before.insert(key.to_vec(), rows::value_of::<ChunkValue>(row.value)?);
    }
    let mut offset = 0u64;
    for run in extents.chunks(EXTENTS_PER_ROW) {
        let key = keys::chunk(tree, inode, offset);
        let chunk = ChunkValue {
            extents: run.to_vec(),
        };
        if before.remove(&key).as_ref() != Some(&chunk) {
            stage.put_row(Versioned::Namespace, &key, Some(&chunk))?;
        }
        offset += run
            .iter()
            .map(|extent| u64::from(extent.length))
            .sum::<u64>();
    }
    for key in before.keys() {
        stage.put_row::<ChunkValue>(Versioned::Namespace, key, None)?;
    }
    Ok(())
}

/// Holds on what is new, releases of what is gone: each extent once per inode, alive in [made, released) (FOLD-B3).
fn hold(
    stage: &mut Stage<'_>,
    tree: u64,
    inode: u64,
    before: &[v1::ExtentRef],
    after: &[v1::ExtentRef],
) -> Result<(), ViewError> {
    if stage.is_overlay() || (before.is_empty() && after.is_empty()) {
        return Ok(());
    }
    let key = |extent: &v1::ExtentRef| keys::hold(&extent.extent.unwrap_or_default(), tree, inode);
    // A hole is nothing to hold.
    let stored = |extent: &&v1::ExtentRef| extent.extent.is_some();
    let held: BTreeSet<Vec<u8>> = before.iter().filter(stored).map(key).collect();
    let mut wanted = BTreeSet::new();
    for extent in after.iter().filter(stored) {
        let key = key(extent);
        if !held.contains(&key) && !wanted.contains(&key) {
            take(stage, &key, extent)?;
        }
        wanted.insert(key);
    }
    for key in held.difference(&wanted) {
        release(stage, key)?;
    }
    Ok(())
}

fn take(stage: &mut Stage<'_>, key: &[u8], extent: &v1::ExtentRef) -> Result<(), ViewError> {
    // Held before and released: one longer life says no less than two, and never lets bytes die early.
    let made = of(stage, key)?.map_or(stage.lsn, |hold| hold.made);
    let hold = HoldValue {
        group: extent.group,
        generation: extent.generation,
        stored_length: extent.stored_length,
        made,
        released: 0,
    };
    stage.put(Keyspace::Blocks, key, Some(&hold))
}

fn release(stage: &mut Stage<'_>, key: &[u8]) -> Result<(), ViewError> {
    let Some(hold) = of(stage, key)? else {
        return Ok(());
    };
    let released = HoldValue {
        released: stage.lsn,
        ..hold
    };
    stage.put(Keyspace::Blocks, key, Some(&released))
}

fn of(stage: &mut Stage<'_>, key: &[u8]) -> Result<Option<HoldValue>, ViewError> {
    stage.value(Keyspace::Blocks, key)
}
