//! The contract of a disk: a small set of named files with positioned writes and explicit syncs.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// What `open` expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist, else `ErrorKind::NotFound`.
    Existing,
    /// The file must not exist, else `ErrorKind::AlreadyExists`.
    CreateNew,
    /// Either is fine.
    OpenOrCreate,
}

/// One file as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The name inside the disk: `a` or `a/b`.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// Space of the file system under a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    pub available: u64,
}

/// Bounds of [`Space::headroom`], in bytes. A segment of the log takes 64 MiB at once. Upkeep does not
/// grow with the disk, so a large one must not turn writers away with many gigabytes free.
const HEADROOM_BYTES: std::ops::RangeInclusive<u64> = 64 << 20..=1 << 30;

impl Space {
    /// What LOG-U8 keeps free for stamps, repair and trim: 5 % of the disk, within 64 MiB and 1 GiB.
    pub fn headroom(&self) -> u64 {
        (self.total / 20).clamp(*HEADROOM_BYTES.start(), *HEADROOM_BYTES.end())
    }

    /// What may be used before the headroom is touched.
    pub fn beyond_headroom(&self) -> u64 {
        self.available.saturating_sub(self.headroom())
    }
}

/// Files under one owner. Names are `a` or `a/b`, of `A-Za-z0-9._-`, not beginning with a dot, at
/// most 100 bytes each part; others are refused with `InvalidInput`. A directory `a` is made on
/// demand.
///
/// Dropping the future of a write leaves open whether it happens; it is never half a buffer's
/// order: writes and syncs happen in the order in which they were first polled (E3).
#[async_trait]
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing. A created name is durable only after `sync_dir`.
    async fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// All files, sorted by name.
    async fn list(&self) -> io::Result<Vec<FileInfo>>;

    /// Removes a name; `NotFound` when there is none. Durable after `sync_dir`.
    async fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames within the disk, replacing `to` if it exists. Durable after `sync_dir`.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes every creation, removal and rename so far durable.
    async fn sync_dir(&self) -> io::Result<()>;

    /// Space as the file system reports it now.
    async fn space(&self) -> io::Result<Space>;

    /// Reads a small file whole (≤ 1 MiB, else `InvalidData`); `None` when there is none.
    async fn read_small(&self, name: &str) -> io::Result<Option<Bytes>>;

    /// Replaces a small file atomically and durably: after a crash it holds the old bytes or the
    /// new ones, and the new ones once this has returned.
    async fn replace_small(&self, name: &str, bytes: Bytes) -> io::Result<()>;
}

/// One open file. Cloned handles (`Arc`) are the same file.
#[async_trait]
#[allow(
    clippy::len_without_is_empty,
    reason = "a file's emptiness is nobody's question"
)]
pub trait DiskFile: Send + Sync {
    /// Reads `len` bytes at `offset`; shorter only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Writes the buffers one after the other, extending the file if need be. Not durable.
    async fn write_at(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()>;

    /// Makes every write that was asked for before durable (fdatasync: content and length).
    async fn sync_data(&self) -> io::Result<()>;

    /// `write_at`, then `sync_data`, as one request.
    async fn write_and_sync(&self, offset: u64, bufs: Vec<Bytes>) -> io::Result<()>;

    /// Cuts or extends (with a hole) to `len` bytes.
    async fn set_len(&self, len: u64) -> io::Result<()>;

    /// Length in bytes.
    async fn len(&self) -> io::Result<u64>;

    /// Gives the blocks of a range back; it reads as zeros afterwards. The length stays.
    async fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Makes the file `len` bytes of zeros that really are written and synced, so that later writes
    /// inside need neither space nor a commit of the file system's journal. On error (`StorageFull`)
    /// the file's content is undefined and the caller should remove it. It does not hold up other
    /// files' writes, and is not ordered with them.
    async fn allocate_zeroed(&self, len: u64) -> io::Result<()>;
}

/// Refuses names that could leave the disk's directory or clash with its temporary files.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let good = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let mut parts = name.split('/');
    let ok =
        parts.next().is_some_and(good) && parts.next().is_none_or(good) && parts.next().is_none();
    if ok {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{name:?} is not a name for a file"),
    ))
}

/// The largest file that `read_small` and `replace_small` take: 1 MiB; they hold it in memory.
pub(crate) const SMALL_BYTES_MAX: u64 = 1 << 20;

/// The error of handles that outlived their group (E5).
pub(crate) fn stale_handle() -> io::Error {
    io::Error::other("this disk handle belongs to an incarnation that has ended")
}
