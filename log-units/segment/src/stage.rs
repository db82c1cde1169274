//! Pure: entries become batches, each entry with its position before anything is written.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use zerocopy::IntoBytes;

use crate::layout::{
    BATCH_HEADER_BYTES, BatchHeader, ENTRY_HEADER_BYTES, EntryHeader, IndexRow, SegmentHeader,
    batch_bytes, crc32c, entry_bytes,
};

/// Entries up to this size are copied beside their headers: cheaper than a buffer of their own in
/// the system call. Larger ones are never copied.
const COPY_BYTES_MAX: usize = 2048;

static ZEROS: [u8; 64] = [0; 64];

/// A batch that is being built. It can be sealed more than once: a full disk keeps it staged.
#[derive(Debug)]
pub(crate) struct Batch {
    offset: u64,
    pieces: Vec<Bytes>,
    run: BytesMut,
    body_bytes: usize,
    rows: Vec<IndexRow>,
    flags: u16,
}

impl Batch {
    pub(crate) fn new(offset: u64) -> Batch {
        let (pieces, run, rows) = (Vec::new(), BytesMut::new(), Vec::new());
        Batch {
            offset,
            pieces,
            run,
            body_bytes: 0,
            rows,
            flags: 0,
        }
    }

    pub(crate) fn with_flags(offset: u64, flags: u16) -> Batch {
        Batch {
            flags,
            ..Batch::new(offset)
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes in the stream.
    pub(crate) fn bytes(&self) -> u64 {
        batch_bytes(self.body_bytes)
    }

    pub(crate) fn end(&self) -> u64 {
        self.offset + self.bytes()
    }

    pub(crate) fn rows(&self) -> &[IndexRow] {
        &self.rows
    }

    /// Adds an entry and returns its position.
    pub(crate) fn push(&mut self, kind: u8, bytes: Bytes) -> u64 {
        let position = self.offset + (BATCH_HEADER_BYTES + self.body_bytes) as u64;
        let header = EntryHeader::new(position, kind, &bytes);
        let (len, taken) = (bytes.len(), entry_bytes(bytes.len()));
        self.run.extend_from_slice(header.as_bytes());
        if len <= COPY_BYTES_MAX {
            self.run.extend_from_slice(&bytes);
        } else {
            self.pieces.push(self.run.split().freeze());
            self.pieces.push(bytes);
        }
        self.run
            .extend_from_slice(&ZEROS[..taken - ENTRY_HEADER_BYTES - len]);
        self.body_bytes += taken;
        let reserved = [0; 3];
        self.rows.push(IndexRow {
            position: position.into(),
            len: header.len,
            kind,
            reserved,
        });
        position
    }

    /// The buffers to write, in order.
    pub(crate) fn seal(&mut self, segment: &SegmentHeader, synced_through: u64) -> Vec<Bytes> {
        if !self.run.is_empty() {
            self.pieces.push(self.run.split().freeze());
        }
        let mut header = BatchHeader::new(segment, self.offset, synced_through);
        header.flags = self.flags.into();
        header.body_bytes = (self.body_bytes as u32).into();
        header.body_crc = crc32c(self.pieces.iter().map(|piece| &piece[..])).into();
        header.entries = (self.rows.len() as u32).into();
        let padding = self.bytes() as usize - BATCH_HEADER_BYTES - self.body_bytes;
        let mut bufs = Vec::with_capacity(self.pieces.len() + 2);
        bufs.push(Bytes::copy_from_slice(header.sealed().as_bytes()));
        bufs.extend(self.pieces.iter().cloned());
        bufs.push(Bytes::from_static(&ZEROS[..padding]));
        bufs
    }
}

/// Batches that wait for a commit, in stream order.
#[derive(Debug)]
pub(crate) struct Stage {
    batches: VecDeque<Batch>,
    end: u64,
    target: usize,
}

impl Stage {
    /// An empty stage whose first batch will lie at `end`; batches close at `target` body bytes.
    pub(crate) fn new(end: u64, target: usize) -> Stage {
        Stage {
            batches: VecDeque::new(),
            end,
            target,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes that the staged batches take in the stream.
    pub(crate) fn bytes(&self) -> u64 {
        self.end() - self.begin()
    }

    pub(crate) fn begin(&self) -> u64 {
        self.batches.front().map_or(self.end, Batch::offset)
    }

    pub(crate) fn end(&self) -> u64 {
        self.batches.back().map_or(self.end, Batch::end)
    }

    pub(crate) fn push(&mut self, kind: u8, bytes: Bytes) -> u64 {
        let end = self.end();
        match self.batches.back_mut() {
            Some(batch) if batch.body_bytes < self.target => batch.push(kind, bytes),
            _ => {
                let mut batch = Batch::new(end);
                let position = batch.push(kind, bytes);
                self.batches.push_back(batch);
                position
            }
        }
    }

    /// The batches from the front that end at or below `limit`.
    pub(crate) fn fitting(&mut self, limit: u64) -> impl Iterator<Item = &mut Batch> {
        self.batches
            .iter_mut()
            .take_while(move |batch| batch.end() <= limit)
    }

    /// Forgets the first `count` batches: they are written.
    pub(crate) fn written(&mut self, count: usize) {
        self.end = self.end();
        self.batches.drain(..count);
    }

    /// Leaves room in the stream for a batch that is not staged. Only while nothing is.
    pub(crate) fn skip(&mut self, bytes: u64) {
        assert!(self.is_empty());
        self.end += bytes;
    }
}
