//! One page of a directory as it was, in byte order of names.
use super::path::{self, Found};
use super::{At, stat, unreadable};
use crate::state::keys;
use crate::state::rows::{self, Row};
use crate::state::values::EntryValue;
use dfs_wire::limits::LIST_ENTRIES_MAX;
use dfs_wire::v1::Kind;
use dfs_wire::{Code, Refusal, v1};

/// Entries of a page when the request does not say.
const ENTRIES_DEFAULT: u32 = 1000;
/// Inline contents of one page: a Listing stays well below the largest message.
const CONTENT_BYTES_MAX: usize = 4 << 20;

/// At least one entry of what is left, at most the limit asked for.
pub fn list(at: At<'_>, request: &v1::ListRequest) -> Result<v1::Listing, Refusal> {
    let path = request.path.clone().unwrap_or_default();
    let directory = path::resolve(at, &path)?;
    if directory.row.value.kind() != Kind::Directory {
        let why = "it is not a directory";
        return Err(Refusal::new(Code::WrongKind, path::shown(&path), why).at(at.lsn));
    }
    let inode = directory.row.value.inode;
    let limit = match request.limit {
        0 => ENTRIES_DEFAULT,
        limit => limit.min(LIST_ENTRIES_MAX),
    };
    let mut listing = v1::Listing {
        directory: Some(stat::answer(at, path.tree, directory, false)?),
        ..v1::Listing::default()
    };
    let mut content_bytes = 0;
    let (from, to) = range(path.tree, inode, &request.after_name);
    for item in at.scan(&from, &to) {
        let (key, row) = item.map_err(|error| unreadable(&error))?;
        if !keys::is_entry(&key) {
            continue;
        }
        if listing.entries.len() == limit as usize || content_bytes > CONTENT_BYTES_MAX {
            listing.more = true;
            break;
        }
        let Row {
            lsn,
            log_time_us,
            value,
        } = row;
        let value: EntryValue = rows::value_of(value).map_err(|error| unreadable(&error))?;
        let name = key.slice(key.len() - keys::name_of(&key).len()..);
        let row = Row {
            lsn,
            log_time_us,
            value,
        };
        let found = Found {
            parent: inode,
            name,
            row,
        };
        let entry = stat::answer(at, path.tree, found, request.with_content)?;
        content_bytes += entry
            .content
            .as_ref()
            .map_or(0, |content| content.inline.len());
        listing.entries.push(entry);
    }
    Ok(listing)
}

/// The keys after a name.
fn range(tree: u64, inode: u64, after: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut from, to) = keys::names_from(tree, inode, after);
    if !after.is_empty() {
        // The next key after `after` itself.
        from.push(0);
    }
    (from, to)
}
