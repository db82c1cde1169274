//! An entry as it is answered.
use super::At;
use crate::state::keys;
use crate::state::rows::{Row, Versioned};
use crate::state::values::{DirectoryValue, EntryValue};
use crate::view::ViewError;
use bytes::Bytes;
use dfs_wire::v1;

pub(crate) fn entry(
    at: At<'_>,
    tree: u64,
    parent: u64,
    name: Bytes,
    row: Row<EntryValue>,
    with_content: bool,
) -> Result<v1::Entry, ViewError> {
    let value = &row.value;
    let content = value.content.as_ref();
    let chunked = value.chunked_extents;
    let mut entry = v1::Entry {
        inode: value.inode,
        parent,
        name,
        kind: value.kind,
        attr: value.attr,
        size: content.map_or(value.link_target.len() as u64, |content| content.size),
        lsn: row.lsn,
        log_time_us: row.log_time_us,
        content: None,
        link_target: value.link_target.clone(),
        children: 0,
        crc32c: content.map_or(0, |content| content.crc32c),
        extents: content
            .map_or(0, |content| content.extents.len() as u32)
            .max(chunked),
        links: value.links.max(1),
        acl: value.acl.clone(),
        default_acl: value.default_acl.clone(),
        xattrs: Vec::new(),
    };
    match value.kind() {
        v1::Kind::Directory => add_own(at, tree, &mut entry)?,
        v1::Kind::File if with_content => entry.content = Some(at.content(tree, value)?),
        _ => {}
    }
    Ok(entry)
}

/// A directory's mtime, count and newest version lie in its own row (FOLD-X8).
fn add_own(at: At<'_>, tree: u64, entry: &mut v1::Entry) -> Result<(), ViewError> {
    let key = keys::own(tree, entry.inode);
    let Some(own) = at.row::<DirectoryValue>(Versioned::Namespace, &key)? else {
        return Ok(());
    };
    entry.children = own.value.children;
    entry.attr.get_or_insert_default().mtime_ns = own.value.mtime_ns;
    if own.lsn > entry.lsn {
        (entry.lsn, entry.log_time_us) = (own.lsn, own.log_time_us);
    }
    Ok(())
}
