//! Durable appends of one record to the shared log; done when its LSN is known.
use crate::drive::Operation;
use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use dfs_log::{Appender, Draft, SharedLog};
use dfs_wire::{Tag, v1};
use std::sync::Arc;

/// A tag that no materializer asks for: shard ids are small.
const TAG: Tag = Tag::shard((1 << 62) - 1);

/// Appends through one lane.
pub struct Appends {
    appender: Appender,
    record: Bytes,
}

impl Appends {
    /// Records of `bytes` bytes that do not compress.
    pub async fn open(
        log: &dyn SharedLog,
        owner: v1::Owner,
        bytes: usize,
        random: impl FnMut() -> u64,
    ) -> Result<Arc<Appends>> {
        let words = std::iter::repeat_with(random).take(bytes.div_ceil(8));
        let mut record: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        record.truncate(bytes);
        let appender = log.appender(owner).await?;
        Ok(Arc::new(Appends {
            appender,
            record: record.into(),
        }))
    }
}

#[async_trait]
impl Operation for Appends {
    async fn once(&self, _worker: u64, _n: u64) -> Result<()> {
        let draft = Draft {
            tags: vec![TAG],
            record: self.record.clone(),
            ..Draft::default()
        };
        self.appender.append(draft).await?.committed().await?;
        Ok(())
    }
}
