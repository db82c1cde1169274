//! Append: bytes at the end of a file that is there.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;
use crate::ops::write::Source;

#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// Refused with `Conflict` unless the file has this size.
    pub if_size: Option<u64>,
    /// What is known of the length to come.
    pub size: Option<u64>,
}

impl Fs {
    /// Atomic: readers see all of it or nothing. `NotFound` when there is no file.
    pub async fn append(
        &self,
        at: &Address,
        source: Source,
        options: AppendOptions,
    ) -> Result<Committed, Refusal> {
        let content = self.store(source, options.size, None).await?;
        let append = v1::Append {
            path: Some(at.to_wire()),
            content: Some(content),
            if_size: options.if_size,
        };
        self.mutate(at, mutate::Op::Append(append)).await
    }
}
