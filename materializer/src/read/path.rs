//! Paths: their form, and where they lead at one LSN. Symlinks are not followed.
use super::At;
use crate::state::ROOT_INODE;
use crate::state::keys::{self, letter};
use crate::state::rows::{self, Row, Versioned};
use crate::state::values::{EntryValue, PlaceValue};
use bytes::Bytes;
use dfs_wire::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use dfs_wire::v1::Kind;
use dfs_wire::{Code, Refusal, v1};

/// An entry with its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) parent: u64,
    pub(crate) name: Bytes,
    pub(crate) row: Row<EntryValue>,
}

/// As people write it; bytes that are no UTF-8 are shown as replacement characters.
pub(crate) fn shown(path: &v1::Path) -> String {
    let text = String::from_utf8_lossy(&path.path);
    let names = text.trim_matches('/');
    match path.base_inode {
        0 | ROOT_INODE => format!("/{names}"),
        base => format!("inode {base}/{names}"),
    }
}

/// The names of a path, from the top. `//` and slashes at the ends collapse.
pub(crate) fn names(path: &v1::Path) -> Result<Vec<Bytes>, Refusal> {
    let invalid = |why: String| Refusal::new(Code::Invalid, shown(path), why);
    if path.path.len() > PATH_BYTES_MAX {
        let length = path.path.len();
        let why = format!("the path has {length} bytes, more than {PATH_BYTES_MAX}");
        let start = String::from_utf8_lossy(&path.path[..64]).into_owned();
        return Err(Refusal::new(Code::Invalid, format!("{start}…"), why));
    }
    let mut names = Vec::new();
    for name in path
        .path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        if name.len() > NAME_BYTES_MAX {
            let length = name.len();
            return Err(invalid(format!(
                "a name has {length} bytes, more than {NAME_BYTES_MAX}"
            )));
        }
        if name.contains(&0) {
            return Err(invalid("a name holds a zero byte".to_owned()));
        }
        if matches!(name, b"." | b"..") {
            return Err(invalid("`.` and `..` are not names here".to_owned()));
        }
        names.push(path.path.slice_ref(name));
    }
    Ok(names)
}

/// Where a path leads at this moment.
pub(crate) fn resolve(at: At<'_>, path: &v1::Path) -> Result<Found, Refusal> {
    let names = names(path)?;
    let mut found = base(at, path)?;
    for name in names {
        let directory = directory(at, path, &found)?;
        let key = keys::entry(path.tree, directory, &name);
        let row = entry(at, &key)?.ok_or_else(|| missing(at, path, &name))?;
        found = Found {
            parent: directory,
            name,
            row,
        };
    }
    Ok(found)
}

/// Where the path begins. Below a detached directory there is nothing (FOLD-P0b).
fn base(at: At<'_>, path: &v1::Path) -> Result<Found, Refusal> {
    let inode = if path.base_inode == 0 {
        ROOT_INODE
    } else {
        path.base_inode
    };
    let (mut parent, mut name) = (0, Bytes::new());
    let mut climbing = inode;
    while climbing != ROOT_INODE {
        let place = place(at, path.tree, climbing)?.filter(|place| !place.detached);
        let place = place.ok_or_else(|| missing(at, path, b""))?;
        if climbing == inode {
            (parent, name) = (place.parent, place.name);
        }
        climbing = place.parent;
    }
    let row = entry(at, &keys::entry(path.tree, parent, &name))?;
    let row = row.ok_or_else(|| missing(at, path, b""))?;
    Ok(Found { parent, name, row })
}

fn directory(at: At<'_>, path: &v1::Path, found: &Found) -> Result<u64, Refusal> {
    let what = match Kind::try_from(found.row.value.kind) {
        Ok(Kind::Directory) => return Ok(found.row.value.inode),
        Ok(Kind::Symlink) => "a symlink, and symlinks are not followed",
        _ => "not a directory",
    };
    let name = String::from_utf8_lossy(&found.name);
    Err(Refusal::new(Code::WrongKind, shown(path), format!("{name} is {what}")).at(at.lsn))
}

fn entry(at: At<'_>, key: &[u8]) -> Result<Option<Row<EntryValue>>, Refusal> {
    let Some(row) = at.row(Versioned::Namespace, key)? else {
        return Ok(None);
    };
    let value = rows::value_of(row.value).map_err(|error| super::unreadable(&error))?;
    Ok(Some(Row {
        lsn: row.lsn,
        log_time_us: row.log_time_us,
        value,
    }))
}

fn place(at: At<'_>, tree: u64, inode: u64) -> Result<Option<PlaceValue>, Refusal> {
    let key = keys::control(letter::PLACE, &[tree, inode]);
    let row = at.row(Versioned::Skeleton, &key)?;
    let value = row.map(|row| rows::value_of(row.value)).transpose();
    value.map_err(|error| super::unreadable(&error))
}

fn missing(at: At<'_>, path: &v1::Path, name: &[u8]) -> Refusal {
    let why = match name {
        b"" => "there is no such directory".to_owned(),
        name => format!("there is no {} in it", String::from_utf8_lossy(name)),
    };
    Refusal::new(
        Code::NotFound,
        shown(path),
        format!("{why} at LSN {}", at.lsn),
    )
    .at(at.lsn)
}
