//! Putting one file or symlink: skipped when it is there and equal, else read and committed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use dfs_wire::{Code, Refusal};
use futures::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::local::{self, CHUNK_BYTES, Found};
use super::progress::add;
use super::put::{Directory, Put, There, change};
use super::{Skip, put, put_large};
use crate::address::Address;
use crate::entry::{Committed, Entry, Kind};
use crate::ops::write::{Source, WriteOptions, source_of};
use crate::when::When;

/// Attempts of one file: a commit whose outcome is unknown may be repeated, it replaces by the same.
const ATTEMPTS_MAX: u32 = 3;

/// `directory`: where it stands, when that is part of the transfer.
pub(super) async fn put(
    put: &Put,
    local: &Path,
    remote: &Address,
    found: &Found,
    directory: Option<&Directory>,
) {
    for attempt in 1.. {
        let there = match (directory, remote.name()) {
            (Some(directory), Some(name)) if attempt == 1 => directory.there(name),
            _ => There::Unknown,
        };
        let refusal = match once(put, local, remote, found, there).await {
            Ok(Outcome::Put(committed)) => {
                put.committed(&committed);
                if let Some(directory) = directory {
                    directory.touched.store(true, Ordering::Relaxed);
                }
                return count(put, found);
            }
            Ok(Outcome::Skipped) => {
                // There by an attempt whose outcome was unknown, perhaps: that moved the time above.
                if let Some(directory) = directory.filter(|_| attempt > 1) {
                    directory.touched.store(true, Ordering::Relaxed);
                }
                return put.skipped(found);
            }
            Err(refusal) => refusal,
        };
        let again = matches!(
            refusal.code(),
            Code::TimedOut | Code::Void | Code::SessionGone
        );
        if !again || attempt >= ATTEMPTS_MAX || put.tally.is_stopped() {
            return put.tally.failed(local, remote, refusal);
        }
        add(&put.tally.progress.retries, 1);
    }
}

enum Outcome {
    Put(Committed),
    Skipped,
}

fn count(put: &Put, found: &Found) {
    let progress = &put.tally.progress;
    match found.kind {
        Kind::Symlink => add(&progress.symlinks, 1),
        _ => add(&progress.files, 1),
    }
}

async fn once(
    put: &Put,
    local: &Path,
    remote: &Address,
    found: &Found,
    there: There,
) -> Result<Outcome, Refusal> {
    let is_large = found.kind == Kind::File && found.size > put.options.piece_bytes;
    let there = match there {
        There::Unknown if is_large || put.options.skip != Skip::Nothing => put
            .fs
            .find(remote, When::Head)
            .await?
            .map(|seen| seen.value),
        There::Unknown | There::Nothing => None,
        There::Entry(entry) => Some(*entry),
    };
    if there.as_ref().is_some_and(Entry::is_directory) {
        let why = format!(
            "a directory is there, where a {} should be",
            found.kind.name()
        );
        return Err(Refusal::new(Code::WrongKind, remote.to_string(), why));
    }
    let of_kind = there.as_ref().filter(|there| there.kind == found.kind);
    if let Some(there) = of_kind.filter(|_| put.options.skip != Skip::Nothing) {
        let same = match found.kind {
            Kind::Symlink => is_same_link(put, local, there).await?,
            _ => is_same_file(put, local, found, there).await?,
        };
        if same && is_large {
            put_large::clear(put, remote).await?;
        }
        if same {
            return keep(put, remote, found, there).await;
        }
    }
    if is_large && let Some(done) = put_large::put(put, local, remote, found).await? {
        return Ok(Outcome::Put(done));
    }
    match found.kind {
        Kind::Symlink => put_link(put, local, remote, found).await,
        _ => put_bytes(put, local, remote, found).await,
    }
}

/// The content is equal: only attributes may differ.
async fn keep(
    put: &Put,
    remote: &Address,
    found: &Found,
    there: &Entry,
) -> Result<Outcome, Refusal> {
    if !put::same_attr(there, &found.attr) {
        let committed = put.fs.set_attr(remote, change(&found.attr)).await?;
        put.committed(&committed);
    }
    Ok(Outcome::Skipped)
}

async fn is_same_link(put: &Put, local: &Path, there: &Entry) -> Result<bool, Refusal> {
    let path = local.to_owned();
    let target = put
        .fs
        .env()
        .blocking(move || local::read_link(&path))
        .await?;
    Ok(there.link_target == target)
}

async fn is_same_file(
    put: &Put,
    local: &Path,
    found: &Found,
    there: &Entry,
) -> Result<bool, Refusal> {
    if there.size != found.size {
        return Ok(false);
    }
    if put.options.skip == Skip::SameSizeAndTime {
        return Ok(there.mtime_ns == found.attr.mtime_ns);
    }
    let path = local.to_owned();
    let crc32c = put
        .fs
        .env()
        .blocking(move || local::checksum(&path))
        .await?;
    Ok(there.crc32c == crc32c)
}

async fn put_link(
    put: &Put,
    local: &Path,
    remote: &Address,
    found: &Found,
) -> Result<Outcome, Refusal> {
    let path = local.to_owned();
    let target = put
        .fs
        .env()
        .blocking(move || local::read_link(&path))
        .await?;
    let made = put
        .fs
        .make_symlink(remote, &target, found.attr, true)
        .await?;
    Ok(Outcome::Put(made))
}

async fn put_bytes(
    put: &Put,
    local: &Path,
    remote: &Address,
    found: &Found,
) -> Result<Outcome, Refusal> {
    let held_kib = found.size.min(CHUNK_BYTES).div_ceil(1024).max(1) as u32;
    let held = put.memory.clone().acquire_many_owned(held_kib).await;
    let held = held.map_err(|_| Refusal::new(Code::Unavailable, "a transfer", "it is over"))?;
    let (path, size) = (local.to_owned(), found.size);
    let (file, first) = put
        .fs
        .env()
        .blocking(move || {
            let file = local::open(&path)?;
            let first = local::read_chunk(&path, &file, size)?;
            Ok::<_, Refusal>((file, first))
        })
        .await?;
    add(&put.tally.progress.bytes, first.len() as u64);
    let is_whole = (first.len() as u64) < CHUNK_BYTES;
    let (source, _held) = if is_whole {
        (source_of(first), Some(held))
    } else {
        let (file, path) = (Arc::new(file), local.to_owned());
        let first = Some(first);
        (
            Rest {
                file,
                path,
                first,
                held: Some(held),
            }
            .source(put),
            None,
        )
    };
    let options = WriteOptions {
        mode: Some(found.attr.mode),
        uid: Some(found.attr.uid),
        gid: Some(found.attr.gid),
        mtime_ns: Some(found.attr.mtime_ns),
        size: Some(found.size),
        ..WriteOptions::default()
    };
    put.fs
        .write(remote, source, options)
        .await
        .map(Outcome::Put)
}

/// A file that does not fit one chunk.
struct Rest {
    file: Arc<File>,
    path: PathBuf,
    first: Option<Bytes>,
    /// Its share of memory: given back when the writer, which has a budget of its own, has taken the
    /// first chunk and asks for more.
    held: Option<OwnedSemaphorePermit>,
}

impl Rest {
    fn source(self, put: &Put) -> Source {
        let (env, progress) = (put.fs.env().clone(), put.tally.progress.clone());
        let bytes = stream::try_unfold(self, move |mut rest| {
            let (env, progress) = (env.clone(), progress.clone());
            async move {
                if let Some(first) = rest.first.take() {
                    return Ok(Some((first, rest)));
                }
                rest.held = None;
                let (file, path) = (rest.file.clone(), rest.path.clone());
                let read = move || local::read_chunk(&path, &file, CHUNK_BYTES);
                let bytes = env.blocking(read).await?;
                add(&progress.bytes, bytes.len() as u64);
                Ok((!bytes.is_empty()).then_some((bytes, rest)))
            }
        });
        bytes.boxed()
    }
}
