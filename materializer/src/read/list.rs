//! A page of a directory.
use super::At;
use super::entry::entry;
use crate::state::keys;
use crate::state::rows::{self, Row};
use crate::state::values::EntryValue;
use crate::state::walk::{self, Errand, store_failed};
use crate::view::ViewError;
use bytes::Bytes;
use dfs_wire::limits::LIST_ENTRIES_MAX;
use dfs_wire::{Code, Refusal, v1};

const LIMIT_DEFAULT: u32 = 1000;
/// Contents and targets of links in one listing: a message holds them with room to spare.
const CONTENT_BYTES_MAX: usize = 4 << 20;

/// Names after `after_name`, in rising order of their bytes. `view` is not looked at: `at` is the answer to it.
pub fn list(at: At<'_>, request: &v1::ListRequest) -> Result<v1::Listing, Refusal> {
    let path = request.path.clone().unwrap_or_default();
    let errand = Errand {
        verb: "list",
        path: &path,
    };
    let located = walk::locate(&at, errand).map_err(|refusal| refusal.at(at.lsn))?;
    let Some(row) = located.entry else {
        return Err(errand.not_found().at(at.lsn));
    };
    if row.value.kind() != v1::Kind::Directory {
        return Err(errand
            .refuse(Code::WrongKind, "it is not a directory")
            .at(at.lsn));
    }
    let inode = row.value.inode;
    let mut listing = page(at, path.tree, inode, request).map_err(store_failed)?;
    let directory = entry(at, path.tree, located.parent, located.name, row, false);
    listing.directory = Some(directory.map_err(store_failed)?);
    Ok(listing)
}

fn page(
    at: At<'_>,
    tree: u64,
    inode: u64,
    request: &v1::ListRequest,
) -> Result<v1::Listing, ViewError> {
    let limit = match request.limit {
        0 => LIMIT_DEFAULT,
        asked => asked.min(LIST_ENTRIES_MAX),
    };
    let mut listing = v1::Listing::default();
    let mut content_bytes = 0;
    // The least name above another: no name holds a zero byte, which in history ends a name.
    let after = match &request.after_name[..] {
        [] => Vec::new(),
        name => [name, keys::FIRST_NAME].concat(),
    };
    let (from, to) = keys::names_from(tree, inode, &after);
    for item in at.scan(&from, &to) {
        let (
            key,
            Row {
                lsn,
                log_time_us,
                value,
            },
        ) = item?;
        if listing.entries.len() >= limit as usize || content_bytes >= CONTENT_BYTES_MAX {
            listing.more = true;
            break;
        }
        let row = Row {
            lsn,
            log_time_us,
            value: rows::value_of::<EntryValue>(value)?,
        };
        let row = at.whole(tree, row)?;
        let name = Bytes::copy_from_slice(keys::name_of(&key));
        let entry = entry(at, tree, inode, name, row, request.with_content)?;
        let content = entry.content.as_ref();
        content_bytes += content.map_or(entry.link_target.len(), prost::Message::encoded_len);
        listing.entries.push(entry);
    }
    Ok(listing)
}
