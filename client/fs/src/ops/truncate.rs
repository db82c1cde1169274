//! Truncate: a file becomes shorter.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// Only shorter; 0 empties it.
    pub async fn truncate(&self, at: &Address, size: u64) -> Result<Committed, Refusal> {
        let truncate = v1::Truncate {
            path: Some(at.to_wire()),
            size,
        };
        self.mutate(at, mutate::Op::Truncate(truncate)).await
    }
}
