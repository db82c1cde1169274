//! Append-only segment files with group commit: LOG.md §7, for units and for the Raft journal.
//!
//! A stream is a sequence of bytes that only grows at its end and is released from its front. It
//! lies in segment files; in it lie batches, in them entries. [`open`] gives the [`Writer`], of
//! which there is one, the [`Reader`], which may be cloned, and a [`Report`] of what was found.
//!
//! # Map
//! - `layout.rs`: headers as they lie on disk (FORMAT.md), checksums.
//! - `stage.rs`: pure: entries become batches.
//! - `walk.rs`: from batch to batch through one segment, past damage.
//! - `judge.rs`: pure: what is torn, what is corrupt, what must be written again.
//! - `chain.rs`: pure: which files form the stream.
//! - `recover.rs`: open: survey, rewrite above the mark, clean up.
//! - `file.rs`: segment files: found, made, activated.
//! - `writer.rs`, `reader.rs`, `scan.rs`: the three ways of use.
//!
//! # Invariants
//! - S1 A position is written once; what was discarded above a mark was never acknowledged.
//! - S2 `synced_through` in a batch never exceeds what an fdatasync had covered when it was built.
//! - S3 A segment is written by one incarnation only, and its successor's header is written only
//!   after everything in it was synced: so a header is a mark at its base.
//! - S4 Space is needed only where a segment file is made: a full disk is `CommitError::Full`, with
//!   everything staged still staged.
//! - S5 After a failed write or sync the writer is poisoned for good (LOG-U3).
//! - S6 What a successor may fall back to is not touched before the successor's mark is synced.
//! - S7 Both copies of a header are never written in one sector or one sync, except at activation.

mod chain;
mod file;
mod judge;
mod layout;
mod reader;
mod recover;
mod scan;
mod stage;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::Space;

pub use reader::{ReadError, Reader};
pub use recover::{OpenError, Opened, Report, open};
pub use scan::{Scan, Scanned};
pub use writer::Writer;

/// An address in the stream, in bytes from its beginning; of an entry, that of its header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A damaged part of the stream.
pub type Damage = Range<Position>;

/// What is appended and read: the meaning of kinds is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// ≤ [`KIND_MAX`]; higher ones are the stream's own.
    pub kind: u8,
    /// ≤ [`Options::entry_bytes_max`].
    pub bytes: Bytes,
}

/// The highest kind that a caller may use.
pub const KIND_MAX: u8 = 239;

/// How a stream uses its disk.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first segment after an open has this many bytes, each next one twice as many.
    pub segment_bytes_min: u64,
    /// Up to this many.
    pub segment_bytes_max: u64,
    /// A new segment is refused (`Full`) when fewer bytes would stay free on the disk. An open is
    /// not bound by it.
    pub keep_free_bytes: u64,
    /// Breaks a rule on purpose, to see that the tests notice.
    #[cfg(test)]
    pub(crate) sabotage: Option<tests::Sabotage>,
}

impl Default for Options {
    /// LOG.md §7: 8 MiB doubling to 256 MiB; nothing kept free.
    fn default() -> Options {
        Options {
            segment_bytes_min: 8 << 20,
            segment_bytes_max: 256 << 20,
            keep_free_bytes: 0,
            #[cfg(test)]
            sabotage: None,
        }
    }
}

impl Options {
    /// The largest entry: 4 MiB, or half of the smallest segment if that is less.
    pub fn entry_bytes_max(&self) -> usize {
        (self.segment_bytes_min / 2).min(4 << 20) as usize
    }

    /// A batch is closed when it has grown to this: 1 MiB, or ⅛ of the smallest segment.
    pub(crate) fn batch_bytes_target(&self) -> usize {
        (self.segment_bytes_min / 8).min(1 << 20) as usize
    }
}

/// Where the next bytes may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes left in the segment that is being written, less what is staged.
    pub in_segment: u64,
    /// Bytes of the segment that is ready to be the next one; 0 if there is none.
    pub in_spare: u64,
    /// The file system's.
    pub disk: Space,
}

/// Why an entry was not staged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("an entry of {len} bytes is larger than {max}")]
    TooLarge { len: usize, max: usize },
    #[error("kind {0} belongs to the stream itself")]
    ReservedKind(u8),
}

/// Why staged entries are not durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Everything that this did not acknowledge is still staged; commit again when there is space.
    #[error("the disk is full: no new segment can be made, what is staged stays staged")]
    Full,
    /// The stream must be opened anew; what was not acknowledged may or may not be found then.
    #[error("the stream may not be written any more: {0}")]
    Poisoned(Arc<io::Error>),
}
