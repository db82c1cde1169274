//! Durable appends of one record to the shared log; done when its LSN is known.
use crate::drive::Operation;
use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use dfs_log::{Appender, Draft, SharedLog};
use dfs_wire::{Tag, v1};
use prost::Message;
use std::sync::Arc;

/// A tag that no materializer asks for: shard ids are small.
const TAG: Tag = Tag::shard((1 << 62) - 1);

/// Bytes of one record.
const RECORD_BYTES: usize = 1024;
/// Alone, as many as a busy server has, and enough for the CPU to be the limit.
pub const IN_FLIGHT: [u64; 3] = [1, 64, 256];

/// The number and the length of the one field.
const FIELD_BYTES: usize = 3;

/// Appends through one lane.
pub struct Appends {
    appender: Appender,
    record: Bytes,
}

impl Appends {
    /// Records of about 1 KiB that hold no mutation: a materializer that follows everything
    /// folds them, and nothing changes.
    pub async fn open(
        log: &dyn SharedLog,
        owner: v1::Owner,
        random: impl FnMut() -> u64,
    ) -> Result<Arc<Appends>> {
        let words = std::iter::repeat_with(random).take(RECORD_BYTES.div_ceil(16));
        let mut actor: String = words.map(|word| format!("{word:016x}")).collect();
        actor.truncate(RECORD_BYTES - FIELD_BYTES);
        let record = v1::Record {
            actor,
            ..v1::Record::default()
        };
        let record = record.encode_to_vec();
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
