//! Random reads of single entries, each verified by its own checksum.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use zerocopy::FromBytes;

use crate::file::Live;
use crate::layout::{ENTRY_HEADER_BYTES, EntryHeader};
use crate::scan::Scan;
use crate::walk::read_salvaging;
use crate::{Entry, KIND_MAX, Position};

/// Bytes read with the header of an entry whose length is not known: one read for small ones.
const GUESS_BYTES: usize = 4096;

/// The segments as writer and readers share them.
#[derive(Default)]
pub(crate) struct Stream {
    /// By base, ascending; the last one is written.
    pub(crate) segments: Vec<Arc<Live>>,
    /// Everything below has been released.
    pub(crate) kept_from: u64,
    /// Everything below is synced.
    pub(crate) end: u64,
}

impl Stream {
    /// The segment that holds a position, and where its part of the stream ends.
    pub(crate) fn locate(&self, position: u64) -> Option<(Arc<Live>, u64)> {
        let after = self
            .segments
            .partition_point(|live| live.header.base.get() <= position);
        let live = self.segments.get(after.checked_sub(1)?)?;
        let limit = self
            .segments
            .get(after)
            .map_or(self.end, |next| next.header.base.get());
        Some((live.clone(), limit.min(self.end)))
    }
}

/// Why there is no entry to return. The four are never confused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("released: the stream begins at {start}")]
    Trimmed { start: Position },
    #[error("not yet written: the stream ends at {end}")]
    NotYet { end: Position },
    #[error("corrupt at {at}: no intact entry begins here")]
    Corrupt { at: Position },
    #[error("reading a segment: {0}")]
    Io(#[from] io::Error),
}

/// Reads what is durable. Cloning is cheap; a reader outlives the writer.
#[derive(Clone)]
pub struct Reader {
    pub(crate) stream: Arc<RwLock<Stream>>,
    pub(crate) entry_bytes_max: usize,
}

impl Reader {
    /// The lowest position that is kept.
    pub fn start(&self) -> Position {
        Position(self.stream.read().kept_from)
    }

    /// Everything below is durable.
    pub fn end(&self) -> Position {
        Position(self.stream.read().end)
    }

    /// The entry at a position that `append` or a scan has given.
    pub async fn read(&self, at: Position) -> Result<Entry, ReadError> {
        self.read_sized(at, GUESS_BYTES - ENTRY_HEADER_BYTES).await
    }

    /// As `read`, in one read of the disk when the entry is no longer than `len`.
    pub async fn read_sized(&self, at: Position, len: usize) -> Result<Entry, ReadError> {
        let (live, limit) = self.locate(at)?;
        let entry = read_entry(&live, limit, at, len.min(self.entry_bytes_max)).await?;
        match entry {
            Some(entry) => Ok(entry),
            None => {
                self.locate(at)?; // released meanwhile, and the file is used again?
                Err(ReadError::Corrupt { at })
            }
        }
    }

    fn locate(&self, at: Position) -> Result<(Arc<Live>, u64), ReadError> {
        let stream = self.stream.read();
        if at.0 < stream.kept_from {
            return Err(ReadError::Trimmed {
                start: Position(stream.kept_from),
            });
        }
        if at.0 >= stream.end {
            return Err(ReadError::NotYet {
                end: Position(stream.end),
            });
        }
        let found = stream.locate(at.0).filter(|(live, _)| at.0 < live.trusted);
        found.ok_or(ReadError::Corrupt { at })
    }

    /// Every entry from `from` (or from the start, if that is higher) to the end as it is when the
    /// scan gets there. Damage is reported where it lies.
    pub fn scan(&self, from: Position) -> Scan {
        Scan::new(self.stream.clone(), from)
    }
}

async fn read_entry(
    live: &Live,
    limit: u64,
    at: Position,
    guess: usize,
) -> io::Result<Option<Entry>> {
    let offset = live.header.file_offset(at.0);
    let room = (limit - at.0) as usize;
    let mut bytes =
        read_salvaging(&*live.file, offset, room.min(ENTRY_HEADER_BYTES + guess)).await?;
    let Ok((header, _)) = EntryHeader::read_from_prefix(&bytes) else {
        return Ok(None);
    };
    let len = header.len.get() as usize;
    if header.kind > KIND_MAX || ENTRY_HEADER_BYTES + len > room {
        return Ok(None);
    }
    if bytes.len() < ENTRY_HEADER_BYTES + len {
        let offset = offset + ENTRY_HEADER_BYTES as u64;
        bytes = read_salvaging(&*live.file, offset, len).await?;
    } else {
        bytes = bytes.slice(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + len);
    }
    Ok(entry_if_intact(&header, at.0, bytes))
}

fn entry_if_intact(header: &EntryHeader, at: u64, bytes: Bytes) -> Option<Entry> {
    header.is_of(at, &bytes).then_some(Entry {
        kind: header.kind,
        bytes,
    })
}
