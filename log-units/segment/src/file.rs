//! Segment files: found on the disk, made of zeros, given a header.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dfs_env::{Disk, DiskFile, OpenMode};
use zerocopy::IntoBytes;

use crate::layout::{
    DATA_AT, SEGMENT_HEADER_AT, SEGMENT_HEADER_BYTES, SegmentHeader, UnknownVersion,
};
use crate::walk::read_salvaging;

/// A file of zeros that has this many at its front is taken for one that was never used.
const BLANK_BYTES: usize = 64 << 10;
const SUFFIX: &str = ".segment";

/// A file that has a header: part of the stream.
pub(crate) struct Live {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Less than `header.file_bytes` once its unused end was given back.
    pub(crate) len: u64,
    /// When the next segment is missing, only what lies below this is known to be of the stream.
    pub(crate) trusted: u64,
}

impl Live {
    pub(crate) fn new(
        name: String,
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        len: u64,
    ) -> Live {
        let trusted = u64::MAX;
        Live {
            name,
            header,
            file,
            len,
            trusted,
        }
    }
}

/// A file that waits to become a segment.
#[derive(Clone)]
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) len: u64,
}

/// What the directory of a stream holds.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) live: Vec<Live>,
    pub(crate) blank: Vec<Spare>,
    /// Files without a header that are not blank.
    pub(crate) unknown: Vec<String>,
    pub(crate) next_id: u64,
}

/// The name of the file with this id.
pub(crate) fn name_of(dir: &str, id: u64) -> String {
    format!("{dir}/{id:08}{SUFFIX}")
}

fn id_of(dir: &str, name: &str) -> Option<u64> {
    let id = name
        .strip_prefix(dir)?
        .strip_prefix('/')?
        .strip_suffix(SUFFIX)?;
    id.parse().ok()
}

/// Why the directory could not be read.
pub(crate) enum FindError {
    Io(io::Error),
    Version(String, UnknownVersion),
}

impl From<io::Error> for FindError {
    fn from(e: io::Error) -> FindError {
        FindError::Io(e)
    }
}

/// Opens every segment file of a stream.
pub(crate) async fn find(disk: &dyn Disk, dir: &str) -> Result<Found, FindError> {
    let mut found = Found {
        next_id: 1,
        ..Found::default()
    };
    for info in disk.list().await? {
        let Some(id) = id_of(dir, &info.name) else {
            continue;
        };
        found.next_id = found.next_id.max(id + 1);
        let file = disk.open(&info.name, OpenMode::Existing).await?;
        let (name, len) = (info.name, info.len);
        let front = read_salvaging(&*file, 0, BLANK_BYTES).await?;
        match newest_copy(&front).map_err(|version| FindError::Version(name.clone(), version))? {
            Some(header) => found.live.push(Live::new(name, header, file, len)),
            None if front.iter().all(|byte| *byte == 0) => {
                found.blank.push(Spare { name, file, len });
            }
            None => found.unknown.push(name),
        }
    }
    found
        .live
        .sort_by_key(|live| std::cmp::Reverse(live.header.number.get()));
    Ok(found)
}

/// The copy of the header that was written last: `kept_from` only grows. A spare's old copies are
/// of an older use than the new ones, so the number decides first.
fn newest_copy(front: &[u8]) -> Result<Option<SegmentHeader>, UnknownVersion> {
    let mut newest: Option<SegmentHeader> = None;
    for at in SEGMENT_HEADER_AT {
        let Some(copy) = front.get(at as usize..at as usize + SEGMENT_HEADER_BYTES) else {
            continue;
        };
        let age = |header: &SegmentHeader| (header.number.get(), header.kept_from.get());
        if let Some(header) = SegmentHeader::decode(copy)?
            && newest.is_none_or(|newest| age(&newest) < age(&header))
        {
            newest = Some(header);
        }
    }
    Ok(newest)
}

/// Makes a file of `len` zeros, durable with its name. Nothing is left of one that fails.
/// `StorageFull` also when fewer than `keep_free_bytes` would stay free.
pub(crate) async fn make(
    disk: Arc<dyn Disk>,
    name: String,
    len: u64,
    keep_free_bytes: u64,
) -> io::Result<Spare> {
    if disk.space().await?.available < keep_free_bytes.saturating_add(len) {
        return Err(ErrorKind::StorageFull.into());
    }
    let file = disk.open(&name, OpenMode::CreateNew).await?;
    let made = match file.allocate_zeroed(len).await {
        Ok(()) => disk.sync_dir().await,
        failed => failed,
    };
    if let Err(e) = made {
        if let Err(left) = disk.remove(&name).await {
            tracing::debug!("remove of unfinished segment file {name}: {left}");
        }
        return Err(e);
    }
    Ok(Spare { name, file, len })
}

/// The two pages at the front of a segment.
pub(crate) fn front_pages(header: &SegmentHeader) -> Bytes {
    let mut pages = BytesMut::zeroed(DATA_AT as usize);
    for at in SEGMENT_HEADER_AT {
        pages[at as usize..at as usize + SEGMENT_HEADER_BYTES].copy_from_slice(header.as_bytes());
    }
    pages.freeze()
}
