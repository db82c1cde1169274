//! Putting a file larger than a piece: piece by piece at the end of an unfinished file beside it, whose content
//! becomes that of the target, by reference, when it is whole. The same put again, after this was interrupted,
//! goes on behind the last piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dfs_extents::{Crc32c, crc32c};
use dfs_wire::{Code, Refusal};
use futures::stream::{self, StreamExt};

use super::get_file::UNFINISHED;
use super::local::{self, CHUNK_BYTES, Found};
use super::progress::{Progress, add};
use super::put::{Put, change};
use crate::address::Address;
use crate::entry::{Committed, Entry};
use crate::ops::append::AppendOptions;
use crate::ops::write::{Source, WriteOptions};
use crate::when::When;

/// Of one file: each record names all extents so far.
const PIECES_MAX: u64 = 64;

/// What a file is called until it is whole: of the same target always the same, whoever puts it.
fn unfinished(remote: &Address) -> Result<Address, Refusal> {
    let name = remote.name().unwrap_or_default();
    let parent = remote.parent().unwrap_or_else(|| remote.clone());
    parent.join(format!("{UNFINISHED}{:08x}", crc32c(name)))
}

/// `None`: nothing may be made beside it, and nothing was done.
pub(super) async fn put(
    put: &Put,
    local: &Path,
    remote: &Address,
    found: &Found,
) -> Result<Option<Committed>, Refusal> {
    let path = local.to_owned();
    let open = move || local::open(&path);
    let large = Large {
        put,
        local,
        file: Arc::new(put.fs.env().blocking(open).await?),
        unfinished: unfinished(remote)?,
    };
    let mut at = large.begin(found).await?;
    large.seek(at.size).await?;
    loop {
        let is_first = at.lsn == 0;
        match large.piece(&mut at, found).await {
            Ok(true) => {}
            Ok(false) => break,
            // A directory that is full, or names that have to be shorter.
            Err(refusal) if is_first && matches!(refusal.code(), Code::State | Code::Invalid) => {
                return Ok(None);
            }
            Err(refusal) => return Err(refusal),
        }
    }
    // As a commit does: what stands there keeps its inode, and is the same through all its names.
    let when = When::Lsn(at.lsn);
    put.fs.copy(&large.unfinished, when, remote, false).await?;
    let done = put.fs.set_attr(remote, change(&found.attr)).await?;
    large.remove(at.lsn).await?;
    Ok(Some(done))
}

/// Of a put that was interrupted after its file was whole.
pub(super) async fn clear(put: &Put, remote: &Address) -> Result<(), Refusal> {
    let unfinished = unfinished(remote)?;
    match put.fs.find(&unfinished, When::Head).await? {
        Some(_) => put.fs.remove(&unfinished, false).await.map(drop),
        None => Ok(()),
    }
}

struct Large<'a> {
    put: &'a Put,
    local: &'a Path,
    file: Arc<File>,
    unfinished: Address,
}

/// How far the unfinished file is. Its version (0: there is none) is asked for by each record, so that two puts
/// of the same target cannot mix their bytes.
struct At {
    size: u64,
    lsn: u64,
}

impl Large<'_> {
    /// Where it goes on: what is there counts if it is how the local file begins.
    async fn begin(&self, found: &Found) -> Result<At, Refusal> {
        let fs = &self.put.fs;
        let Some(there) = fs.find(&self.unfinished, When::Head).await? else {
            return Ok(At { size: 0, lsn: 0 });
        };
        let there = there.value;
        if there.is_file() && there.size <= found.size && self.begins_with(&there).await? {
            add(&self.put.tally.progress.skipped_bytes, there.size);
            let (size, lsn) = (there.size, there.lsn);
            return Ok(At { size, lsn });
        }
        self.remove(there.lsn).await?;
        Ok(At { size: 0, lsn: 0 })
    }

    /// Unless somebody else goes on with it.
    async fn remove(&self, lsn: u64) -> Result<(), Refusal> {
        let fs = self.put.fs.with_if_lsn(Some(lsn));
        match fs.remove(&self.unfinished, false).await {
            Err(refusal) if matches!(refusal.code(), Code::Conflict | Code::NotFound) => Ok(()),
            removed => removed.map(drop),
        }
    }

    async fn seek(&self, to: u64) -> Result<(), Refusal> {
        let file = self.file.clone();
        let seek = move || (&*file).seek(SeekFrom::Start(to));
        let sought = self.put.fs.env().blocking(seek).await;
        sought.map_err(|e| local::refusal("reading", self.local, &e))?;
        Ok(())
    }

    async fn begins_with(&self, there: &Entry) -> Result<bool, Refusal> {
        let (file, path, size) = (self.file.clone(), self.local.to_owned(), there.size);
        let sum = move || checksum(&file, size).map_err(|e| local::refusal("reading", &path, &e));
        Ok(self.put.fs.env().blocking(sum).await? == there.crc32c)
    }

    /// The next piece, durable when this returns; false: it was the last.
    async fn piece(&self, at: &mut At, found: &Found) -> Result<bool, Refusal> {
        let piece_bytes = self.put.options.piece_bytes.max(found.size / PIECES_MAX);
        let taken = Arc::new(AtomicU64::new(0));
        let source = self.source(piece_bytes, taken.clone());
        let size = Some(found.size.saturating_sub(at.size).min(piece_bytes));
        let done = match at.lsn {
            0 => {
                let options = WriteOptions {
                    mode: Some(0o600),
                    uid: Some(found.attr.uid),
                    gid: Some(found.attr.gid),
                    size,
                    create_only: true,
                    ..WriteOptions::default()
                };
                self.put.fs.write(&self.unfinished, source, options).await
            }
            lsn => {
                let options = AppendOptions {
                    size,
                    ..AppendOptions::default()
                };
                let fs = self.put.fs.with_if_lsn(Some(lsn));
                fs.append(&self.unfinished, source, options).await
            }
        };
        let taken = taken.load(Ordering::Relaxed);
        at.lsn = done.map_err(|refusal| self.explained(refusal))?.lsn;
        at.size += taken;
        Ok(taken == piece_bytes)
    }

    fn explained(&self, refusal: Refusal) -> Refusal {
        match refusal.code() {
            Code::Exists | Code::Conflict | Code::NotFound => {
                let why = "another transfer writes the same file";
                let refusal = Refusal::new(Code::Conflict, self.unfinished.to_string(), why);
                refusal.advice("Wait until it has ended, then put again")
            }
            _ => refusal,
        }
    }

    /// At most `limit` bytes from where the file stands; `taken` counts them.
    fn source(&self, limit: u64, taken: Arc<AtomicU64>) -> Source {
        let (env, file, path) = (
            self.put.fs.env().clone(),
            self.file.clone(),
            self.local.to_owned(),
        );
        let progress: Arc<Progress> = self.put.tally.progress.clone();
        let bytes = stream::try_unfold(limit, move |left| {
            let (env, file, path) = (env.clone(), file.clone(), path.clone());
            let (progress, taken) = (progress.clone(), taken.clone());
            async move {
                let read = move || local::read_part(&path, &file, left);
                let bytes = match left {
                    0 => return Ok(None),
                    _ => env.blocking(read).await?,
                };
                add(&progress.bytes, bytes.len() as u64);
                taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok((!bytes.is_empty()).then_some((bytes.clone(), left - bytes.len() as u64)))
            }
        });
        bytes.boxed()
    }
}

/// Of the first `size` bytes.
fn checksum(mut file: &File, size: u64) -> std::io::Result<u32> {
    file.seek(SeekFrom::Start(0))?;
    let mut crc = Crc32c::default();
    let mut bytes = vec![0; CHUNK_BYTES.min(size) as usize];
    let mut left = size;
    while left > 0 {
        let part = left.min(CHUNK_BYTES) as usize;
        file.read_exact(&mut bytes[..part])?;
        crc.update(&bytes[..part]);
        left -= part as u64;
    }
    Ok(crc.value())
}
