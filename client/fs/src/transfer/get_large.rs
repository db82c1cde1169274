//! Getting a file of extents: written as they come; what a get before has left of a large one is kept where it
//! is what it should be.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dfs_extents::crc32c;
use dfs_wire::{Code, Refusal, limits, v1};
use futures::TryStreamExt;

use super::get::Get;
use super::get_file::Target;
use super::progress::add;
use crate::address::Address;
use crate::entry::Entry;

pub(super) async fn get(
    get: &Get,
    remote: &Address,
    entry: &Entry,
    target: &Arc<Target>,
) -> Result<(), Refusal> {
    let held_kib = entry
        .size
        .min(limits::EXTENT_BYTES_MAX as u64)
        .div_ceil(1024) as u32;
    let held = get.memory.acquire_many(held_kib).await;
    let _held = held.map_err(|_| Refusal::new(Code::Unavailable, "a transfer", "it is over"))?;
    let env = get.fs.env();
    let (beginning, content) = (target.clone(), entry.content.clone().unwrap_or_default());
    let begun = env.blocking(move || begin(&beginning, &content)).await?;
    let (file, there) = (Arc::new(begun.0), begun.1);
    add(&get.tally.progress.skipped_bytes, there);
    let range = (there > 0).then_some(there..entry.size);
    let name = remote.to_string();
    let mut bytes = get.fs.read_content(&name, entry.content.as_ref(), range)?;
    while let Some(part) = bytes.try_next().await? {
        let length = part.len() as u64;
        let (writing, file) = (target.clone(), file.clone());
        env.blocking(move || writing.write(&file, &part)).await?;
        add(&get.tally.progress.bytes, length);
    }
    let finishing = target.clone();
    env.blocking(move || finishing.finish_file(&file)).await
}

/// The file to write, and how many bytes of it are there already; it stands behind them.
fn begin(target: &Target, content: &v1::Content) -> Result<(File, u64), Refusal> {
    let left = match target.resumes.load(Ordering::Relaxed) {
        true => target.take_up(),
        false => None,
    };
    let Some(file) = left else {
        return Ok((target.create()?, 0));
    };
    let there = equal(&file, content).map_err(|e| target.refusal(&e))?;
    let cut = file.set_len(there);
    cut.and_then(|()| (&file).seek(SeekFrom::Start(there)))
        .map_err(|e| target.refusal(&e))?;
    Ok((file, there))
}

/// Bytes at its beginning that are those of whole extents: each is compared by its checksum.
fn equal(mut file: &File, content: &v1::Content) -> io::Result<u64> {
    let mut left = file.metadata()?.len();
    let mut there = 0;
    let mut bytes = vec![0; limits::EXTENT_BYTES_MAX];
    for extent in &content.extents {
        let length = u64::from(extent.length);
        let is_whole = extent.extent.is_some() && extent.skip == 0;
        if !is_whole || length > left || length > bytes.len() as u64 {
            break;
        }
        let part = &mut bytes[..length as usize];
        file.read_exact(part)?;
        if crc32c(part) != extent.crc32c {
            break;
        }
        (there, left) = (there + length, left - length);
    }
    Ok(there)
}
