//! One entry as it was.
use super::path::{self, Found};
use super::{At, unreadable};
use crate::state::keys;
use crate::state::rows::{self, Versioned};
use crate::state::values::DirectoryValue;
use crate::state::{ROOT_INODE, content};
use dfs_wire::v1::Kind;
use dfs_wire::{Refusal, v1};

/// The entry at a path; `with_content`: with the bytes of a file, or the extents that hold them.
pub fn stat(at: At<'_>, path: &v1::Path, with_content: bool) -> Result<v1::Entry, Refusal> {
    let found = path::resolve(at, path)?;
    answer(at, path.tree, found, with_content)
}

/// An entry as it travels.
pub(crate) fn answer(
    at: At<'_>,
    tree: u64,
    found: Found,
    with_content: bool,
) -> Result<v1::Entry, Refusal> {
    let Found { parent, name, row } = found;
    let value = row.value;
    let size = value.content.as_ref().map_or(0, |content| content.size);
    let in_row = value
        .content
        .as_ref()
        .map_or(0, |content| content.extents.len() as u32);
    let whole = if with_content && value.kind() == Kind::File {
        let whole = content::at(at.snapshot, tree, &value, at.lsn);
        Some(whole.map_err(|error| unreadable(&error))?)
    } else {
        None
    };
    let mut entry = v1::Entry {
        inode: value.inode,
        parent: if value.inode == ROOT_INODE {
            ROOT_INODE
        } else {
            parent
        },
        name,
        kind: value.kind,
        size,
        lsn: row.lsn,
        log_time_us: row.log_time_us,
        crc32c: value.content.as_ref().map_or(0, |content| content.crc32c),
        extents: value.chunked_extents.max(in_row),
        content: whole,
        link_target: value.link_target.clone(),
        children: 0,
        attr: value.attr,
    };
    if value.kind() == Kind::Directory {
        add_own(at, tree, &mut entry)?;
    }
    Ok(entry)
}

/// What a directory's own row says of it: the later of the two mtimes, and how many entries it has.
fn add_own(at: At<'_>, tree: u64, entry: &mut v1::Entry) -> Result<(), Refusal> {
    let Some(row) = at.row(Versioned::Namespace, &keys::own(tree, entry.inode))? else {
        return Ok(());
    };
    let own: DirectoryValue = rows::value_of(row.value).map_err(|error| unreadable(&error))?;
    entry.children = own.children;
    let attr = entry.attr.get_or_insert_default();
    attr.mtime_ns = own.mtime_ns;
    Ok(())
}
