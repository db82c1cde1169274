//! How far a transfer is: counters to be read at any time, and what it came to in the end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use dfs_wire::Refusal;

use crate::address::Address;

/// Counters of a transfer under way; read them whenever a bar is drawn.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) found_files: AtomicU64,
    pub(crate) found_bytes: AtomicU64,
    pub(crate) found_all: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) directories: AtomicU64,
    pub(crate) symlinks: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) skipped_files: AtomicU64,
    pub(crate) skipped_bytes: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) removed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) times_cut: AtomicU64,
    pub(crate) last_lsn: AtomicU64,
}

/// A snapshot of [`Progress`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files and symlinks found so far, and their bytes; all of them once `found_all`.
    pub found_files: u64,
    pub found_bytes: u64,
    pub found_all: bool,
    /// Transferred.
    pub files: u64,
    pub directories: u64,
    pub symlinks: u64,
    /// Of file contents, counted as they move.
    pub bytes: u64,
    /// There and equal.
    pub skipped_files: u64,
    pub skipped_bytes: u64,
    pub retries: u64,
    pub failed: u64,
    /// Entries that were only at the target of a sync; a local directory counts as one.
    pub removed: u64,
    /// Of a put: whose mtime does not fit into 64 bits of ns, and became the nearest that does.
    pub times_cut: u64,
    /// The highest LSN of its records (a put), or the one it reads at (a get).
    pub lsn: u64,
}

impl Progress {
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            found_files: read(&self.found_files),
            found_bytes: read(&self.found_bytes),
            found_all: read(&self.found_all) > 0,
            files: read(&self.files),
            directories: read(&self.directories),
            symlinks: read(&self.symlinks),
            bytes: read(&self.bytes),
            skipped_files: read(&self.skipped_files),
            skipped_bytes: read(&self.skipped_bytes),
            retries: read(&self.retries),
            failed: read(&self.failed),
            removed: read(&self.removed),
            times_cut: read(&self.times_cut),
            lsn: read(&self.last_lsn),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// One entry that was not transferred. The others were, or tell of themselves.
#[derive(Clone, Debug)]
pub struct Failure {
    pub local: PathBuf,
    pub remote: Address,
    pub refusal: Refusal,
}

/// What a transfer came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub counts: Counts,
    /// The first 1,000 failures; `counts.failed` has their number.
    pub failures: Vec<Failure>,
    /// Why it ended before everything was tried: the others would have met the same.
    pub stopped: Option<Refusal>,
}
