//! Remove a file, a symlink, an empty directory, or a directory with all below it.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// One record, whatever lies below. Without `recursive`, `NotEmpty` for a directory with entries.
    pub async fn remove(&self, at: &Address, recursive: bool) -> Result<Committed, Refusal> {
        let remove = v1::Remove {
            path: Some(at.to_wire()),
            recursive,
        };
        self.mutate(at, mutate::Op::Remove(remove)).await
    }
}
