//! Whole trees between the local file system and the cluster, in parallel, with bounded memory.

mod progress;

pub use progress::{Counts, Failure, Progress, Summary};

use std::path::Path;

use dfs_wire::Refusal;

use crate::address::Address;
use crate::fs::Fs;
use crate::when::When;

/// How a tree is transferred.
#[derive(Clone, Debug)]
pub struct TransferOptions {
    /// Files in flight at most.
    pub jobs: usize,
    /// What is there and equal is left as it is.
    pub skip: Skip,
}

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
        }
    }
}

impl Fs {
    /// Puts `local` (a file, a symlink or a directory with all below it) at exactly `remote`; the
    /// directory above `remote` is made when it is missing. What fails is listed in the summary;
    /// `Err` only when nothing could be begun. Running it again puts what is missing.
    pub async fn put_tree(
        &self,
        local: &Path,
        remote: &Address,
        options: TransferOptions,
        progress: std::sync::Arc<Progress>,
    ) -> Result<Summary, Refusal> {
        let _ = (local, remote, options, progress);
        Err(Refusal::new(
            dfs_wire::Code::State,
            "put",
            "transfers come with the next commit",
        ))
    }

    /// Gets `remote` as it was at `when` to exactly the path `local`, at one LSN (F6).
    pub async fn get_tree(
        &self,
        remote: &Address,
        when: When,
        local: &Path,
        options: TransferOptions,
        progress: std::sync::Arc<Progress>,
    ) -> Result<Summary, Refusal> {
        let _ = (local, remote, when, options, progress);
        Err(Refusal::new(
            dfs_wire::Code::State,
            "get",
            "transfers come with the next commit",
        ))
    }
}
