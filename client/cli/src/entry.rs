//! Entries as they are shown: cells of a table, JSON, names fit for the next command.
use crate::address;
use crate::json::{self, put_bytes};
use crate::output::{Column, Item};
use crate::{calendar, figures, quote};
use dfs_fs::{Entry, Kind};
use serde_json::Value;

/// How much of an entry a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Names,
    Long,
    Wide,
}

pub(crate) fn columns(detail: Detail) -> Vec<Column> {
    let long = [
        Column::text("MODE"),
        Column::figure("UID"),
        Column::figure("GID"),
        Column::figure("SIZE"),
        Column::text("MODIFIED"),
    ];
    let wide = [
        Column::figure("LSN"),
        Column::figure("INODE"),
        Column::figure("EXTENTS"),
        Column::text("CRC32C"),
    ];
    let name = Column::text("NAME");
    match detail {
        Detail::Names => vec![Column::text("")],
        Detail::Long => [long.as_slice(), &[name]].concat(),
        Detail::Wide => [long.as_slice(), &wide, &[name]].concat(),
    }
}

/// `path` is where the entry stands, `shown` what a table calls it.
pub(crate) fn item(entry: &Entry, path: &[u8], shown: &[u8], detail: Detail) -> Item {
    Item {
        json: to_json(entry, path),
        name: address::escape(path),
        cells: cells(entry, shown, detail),
    }
}

fn cells(entry: &Entry, shown: &[u8], detail: Detail) -> Vec<String> {
    let mut name = quote::shown(shown);
    match entry.kind {
        Kind::Directory if !name.ends_with('/') => name.push('/'),
        Kind::Symlink if detail == Detail::Names => name.push('@'),
        Kind::Symlink => name.push_str(&format!(" -> {}", quote::shown(&entry.link_target))),
        _ => {}
    }
    if detail == Detail::Names {
        return vec![name];
    }
    let mut cells = vec![
        mode(entry),
        entry.uid.to_string(),
        entry.gid.to_string(),
        size(entry).to_string(),
        calendar::format_mtime(entry.mtime_ns),
    ];
    if detail == Detail::Wide {
        cells.push(entry.lsn.to_string());
        cells.push(entry.inode.to_string());
        cells.push(entry.extents.to_string());
        cells.push(checksum(entry).unwrap_or_default());
    }
    cells.push(name);
    cells
}

/// As `ls -l`, with a `+` where an ACL says more.
pub(crate) fn mode(entry: &Entry) -> String {
    let mut text = figures::mode(letter(entry.kind), entry.mode);
    if entry.acl.is_some() || entry.default_acl.is_some() {
        text.push('+');
    }
    text
}

/// Of a file its bytes, of a directory its entries, of a symlink its target.
pub(crate) fn size(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::File => entry.size,
        Kind::Directory => entry.children,
        Kind::Symlink => entry.link_target.len() as u64,
    }
}

pub(crate) fn checksum(entry: &Entry) -> Option<String> {
    (entry.kind == Kind::File).then(|| format!("{:08x}", entry.crc32c))
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
    }
}

/// Raw numbers; times in ns and µs as the system keeps them.
pub(crate) fn to_json(entry: &Entry, path: &[u8]) -> Value {
    let mut object = json::at_path(path);
    put_bytes(&mut object, "name", &entry.name);
    object["type"] = entry.kind.name().into();
    object["inode"] = entry.inode.into();
    object["parent"] = entry.parent.into();
    object["links"] = entry.links.into();
    object["mode"] = entry.mode.into();
    object["uid"] = entry.uid.into();
    object["gid"] = entry.gid.into();
    object["mtime_ns"] = entry.mtime_ns.into();
    object["version_lsn"] = entry.lsn.into();
    object["version_time_us"] = entry.log_time_us.into();
    match entry.kind {
        Kind::File => {
            object["size"] = entry.size.into();
            object["crc32c"] = checksum(entry).into();
            object["extents"] = entry.extents.into();
        }
        Kind::Directory => object["children"] = entry.children.into(),
        Kind::Symlink => put_bytes(&mut object, "target", &entry.link_target),
    }
    object
}
