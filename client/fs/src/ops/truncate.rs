//! Truncate: a file becomes shorter, or longer by zeros.

use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;
use crate::ops::append::TRIES_MAX;

impl Fs {
    /// 0 empties it. Beyond the end there are zeros; where all of it would not fit the record they are
    /// a hole, which takes no room, and the file is first moved to extents, by a record of its own that
    /// changes no byte of it. At most [`dfs_wire::limits::FILE_BYTES_MAX`].
    pub async fn truncate(&self, at: &Address, size: u64) -> Result<Committed, Refusal> {
        let mut fs = self.clone();
        for _ in 1..TRIES_MAX {
            match fs.cut(at, size).await {
                Err(refusal) if refusal.code() == Code::State => {}
                answered => return answered,
            }
            fs = fs.move_to_extents(at).await?;
        }
        fs.cut(at, size).await
    }

    async fn cut(&self, at: &Address, size: u64) -> Result<Committed, Refusal> {
        let truncate = v1::Truncate {
            path: Some(at.to_wire()),
            size,
        };
        self.mutate(at, mutate::Op::Truncate(truncate)).await
    }
}
