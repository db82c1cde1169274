//! Whole trees between the local file system and the cluster, in parallel, with bounded memory: put and get,
//! and sync, which moves by them what a comparison finds.

mod get;
mod get_file;
mod get_large;
pub(crate) mod local;
mod progress;
mod put;
mod put_file;
mod put_large;
mod schedule;
mod sync;
mod tally;

pub use get_file::unfinished;
pub use progress::{Counts, Failure, Progress, Summary};
pub use sync::{SyncOptions, sync};

/// How a tree is transferred.
#[derive(Clone, Debug)]
pub struct TransferOptions {
    /// Files in flight at most. A small file costs one round trip of the log, so many are needed.
    pub jobs: usize,
    /// What is there and equal is left as it is.
    pub skip: Skip,
    /// A get sets owner and group to what is stored, as root can.
    pub keep_owner: bool,
    /// A larger file is put in pieces of this size, each durable for itself, and what was got of it stays: the
    /// same again after an interruption goes on there. Every piece is one more record.
    pub piece_bytes: u64,
}

/// Bytes that an interrupted transfer may have to move again; at 1 GB/s eight records a second.
const PIECE_BYTES: u64 = 128 << 20;

/// When a file that is there counts as equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Never: everything is transferred.
    Nothing,
    /// Same size and same mtime in ns.
    SameSizeAndTime,
    /// Same size and same checksum: the local file is read for it.
    SameChecksum,
}

impl Default for TransferOptions {
    fn default() -> Self {
        TransferOptions {
            jobs: 128,
            skip: Skip::SameSizeAndTime,
            keep_owner: rustix::process::geteuid().is_root(),
            piece_bytes: PIECE_BYTES,
        }
    }
}
