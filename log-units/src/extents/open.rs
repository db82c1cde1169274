//! What the extent files hold, found again at open: intact, torn, or damaged.
//!
//! Below the highest mark everything was acknowledged: what is unreadable there is damage. At or above
//! it, what is incomplete was never acknowledged: it becomes a void; what is whole is written again and
//! synced, because the page cache may show what the disk does not hold.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::{Disk, DiskFile, OpenMode};
use dfs_wire::frame::crc32c;
use dfs_wire::limits::{BLOCK_BYTES, PART_BYTES_MAX};

use crate::extents::index::{Entry, Index};
use crate::extents::layout::{
    ALIGN_BYTES, BEGIN_BYTES, BEGIN_MAGIC, Begin, END_BYTES, KIND_VOID, MARK_AT, Placed, blocks_of,
    decode_begin, decode_file_header, decode_mark, decode_tail, encode_begin, encode_mark,
};

const PREFIX: &str = "extents-";

pub(crate) fn file_name(file_no: u32) -> String {
    format!("{PREFIX}{file_no:08}")
}

/// A file of extents, as it was found or made.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) file_no: u32,
    pub(crate) file_nonce: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next extent goes.
    pub(crate) next_offset: u64,
}

/// One stretch of a file.
enum Stretch {
    Extent {
        placed: Placed,
        tail: Option<(Vec<u32>, u32)>,
    },
    Void,
    Unreadable,
}

struct Walk {
    file: Arc<dyn DiskFile>,
    file_nonce: u64,
    len: u64,
    offset: u64,
    mark: u64,
    stretches: Vec<(u64, u64, Stretch)>,
}

/// Opens every file and fills `index`; in rising order of file numbers, and the first unused number.
pub(crate) async fn open_files(disk: &dyn Disk, index: &Index) -> io::Result<(Vec<Found>, u32)> {
    let (mut found, mut next_file_no) = (Vec::new(), 1);
    for info in disk.list().await? {
        let no = info
            .name
            .strip_prefix(PREFIX)
            .and_then(|no| no.parse::<u32>().ok());
        let Some(file_no) = no else { continue };
        next_file_no = next_file_no.max(file_no + 1);
        let file = disk.open(&info.name, OpenMode::Existing).await?;
        let head = file.read_at(0, ALIGN_BYTES as usize).await?;
        match decode_file_header(&head, file_no) {
            Some(nonce) => found.push(open_file(file, file_no, nonce, index).await?),
            // Made just before a crash: nothing was ever stored in it.
            None if info.len <= ALIGN_BYTES => disk.remove(&info.name).await?,
            None => {
                index.count_nameless();
                tracing::error!(
                    file = info.name,
                    "read an extent file: its header is damaged"
                );
            }
        }
    }
    Ok((found, next_file_no))
}

async fn open_file(
    file: Arc<dyn DiskFile>,
    file_no: u32,
    file_nonce: u64,
    index: &Index,
) -> io::Result<Found> {
    let len = file.len().await?;
    let mark = file.read_at(MARK_AT, 64).await?;
    let mark = decode_mark(&mark, file_nonce).unwrap_or(ALIGN_BYTES);
    let (stretches, offset) = (Vec::new(), ALIGN_BYTES);
    let mut walk = Walk {
        file: file.clone(),
        file_nonce,
        len,
        offset,
        mark,
        stretches,
    };
    while walk.offset < walk.len {
        walk.step().await?;
    }
    let next_offset = walk.offset;
    let settled = settle(&walk, file_no, index).await?;
    if settled {
        file.sync_data().await?;
        file.write_at(MARK_AT, vec![encode_mark(file_nonce, next_offset)])
            .await?;
        file.sync_data().await?;
    }
    Ok(Found {
        file_no,
        file_nonce,
        file,
        next_offset,
    })
}

impl Walk {
    async fn step(&mut self) -> io::Result<()> {
        let offset = self.offset;
        let head = self.file.read_at(offset, BEGIN_BYTES as usize).await?;
        let Some(begin) = decode_begin(&head, self.file_nonce, offset) else {
            self.offset = self.next_begin().await?;
            self.stretches
                .push((offset, self.offset, Stretch::Unreadable));
            return Ok(());
        };
        self.mark = self.mark.max(begin.synced_through.get());
        self.offset += begin.span_bytes();
        let stretch = if begin.is_void() {
            Stretch::Void
        } else {
            self.extent(&begin).await?
        };
        self.stretches.push((offset, self.offset, stretch));
        Ok(())
    }

    async fn extent(&self, begin: &Begin) -> io::Result<Stretch> {
        let placed = begin.placed();
        let tail = read_tail(&*self.file, &placed).await?;
        Ok(Stretch::Extent { placed, tail })
    }

    /// The next intact begin behind an unreadable one, or the end of the file.
    async fn next_begin(&self) -> io::Result<u64> {
        let mut offset = self.offset + ALIGN_BYTES;
        while offset < self.len {
            let chunk = self.file.read_at(offset, PART_BYTES_MAX).await?;
            for (at, page) in chunk.chunks(ALIGN_BYTES as usize).enumerate() {
                let at = offset + at as u64 * ALIGN_BYTES;
                let begins = page.starts_with(&BEGIN_MAGIC);
                if begins && decode_begin(page, self.file_nonce, at).is_some() {
                    return Ok(at);
                }
            }
            offset += PART_BYTES_MAX as u64;
        }
        Ok(self
            .len
            .next_multiple_of(ALIGN_BYTES)
            .max(self.offset + ALIGN_BYTES))
    }
}

/// The block checksums of an extent and that of all its data; `None` when they are not intact.
pub(crate) async fn read_tail(
    file: &dyn DiskFile,
    placed: &Placed,
) -> io::Result<Option<(Vec<u32>, u32)>> {
    let at = placed.offset + BEGIN_BYTES + u64::from(placed.length);
    let bytes = file
        .read_at(at, blocks_of(placed.length) * 4 + END_BYTES as usize)
        .await?;
    Ok(decode_tail(&bytes, placed))
}

/// Fills the index; true when something was written.
async fn settle(walk: &Walk, file_no: u32, index: &Index) -> io::Result<bool> {
    let mut wrote = false;
    for (start, end, stretch) in &walk.stretches {
        let acknowledged = *start < walk.mark;
        match stretch {
            Stretch::Void => {}
            Stretch::Unreadable if acknowledged => {
                index.count_nameless();
                tracing::error!(
                    file_no,
                    start,
                    end,
                    "read an extent file: damage that hides names"
                );
            }
            Stretch::Extent {
                placed,
                tail: Some((_, crc)),
            } if acknowledged => {
                let entry = Entry::new(file_no, *start, placed.length, *crc);
                index.insert((placed.session, placed.counter), entry);
            }
            Stretch::Extent { placed, tail: None } if acknowledged => {
                index.mark_damaged((placed.session, placed.counter));
                tracing::error!(file_no, start, "read an extent file: a damaged extent");
            }
            Stretch::Extent {
                placed,
                tail: Some((blocks, crc)),
            } if write_again(&*walk.file, placed, blocks).await? => {
                wrote = true;
                let entry = Entry::new(file_no, *start, placed.length, *crc);
                index.insert((placed.session, placed.counter), entry);
            }
            Stretch::Extent { .. } | Stretch::Unreadable => {
                wrote = true;
                write_void(&*walk.file, walk.file_nonce, *start, end - start, walk.mark).await?;
            }
        }
    }
    Ok(wrote)
}

/// Writes an extent's bytes over themselves; false when its data is not what its tail says.
async fn write_again(file: &dyn DiskFile, placed: &Placed, blocks: &[u32]) -> io::Result<bool> {
    let length = placed.length as usize;
    let tail = length + blocks_of(placed.length) * 4 + END_BYTES as usize;
    let all = file
        .read_at(placed.offset, BEGIN_BYTES as usize + tail)
        .await?;
    let Some(data) = all.get(BEGIN_BYTES as usize..BEGIN_BYTES as usize + length) else {
        return Ok(false);
    };
    let intact = data
        .chunks(BLOCK_BYTES)
        .zip(blocks)
        .all(|(block, crc)| crc32c(block) == *crc);
    if intact {
        file.write_at(placed.offset, vec![all]).await?;
    }
    Ok(intact)
}

/// Says that nothing lies in a stretch.
pub(crate) async fn write_void(
    file: &dyn DiskFile,
    file_nonce: u64,
    offset: u64,
    span_bytes: u64,
    synced_through: u64,
) -> io::Result<()> {
    let length = span_bytes
        .saturating_sub(BEGIN_BYTES)
        .min(u64::from(u32::MAX)) as u32;
    let placed = Placed {
        file_nonce,
        offset,
        session: 0,
        counter: 0,
        group: 0,
        length,
    };
    let header: Bytes = encode_begin(&placed, KIND_VOID, synced_through);
    file.write_at(offset, vec![header]).await
}
