//! The contract of the shared log: what goes in, what comes out.
use async_trait::async_trait;
use bytes::Bytes;
use dfs_rpc::trace::TraceContext;
use dfs_wire::frame::Frame;
use dfs_wire::{Refusal, Tag, v1};

use crate::appender::Appender;
use crate::follower::Follower;

/// The address of a record: dense from 1.
pub type Lsn = u64;

/// One totally ordered log. `ClusterLog` and [`MemoryLog`](crate::MemoryLog) pass one suite (`testing`).
#[async_trait]
pub trait SharedLog: Send + Sync {
    /// Opens a new lane; it is never reopened (LOG-A1).
    async fn appender(&self, owner: v1::Owner) -> Result<Appender, Refusal>;

    /// Everything from `from` on, for ever. A `from` inside a frame gives the whole frame.
    async fn follow(&self, from: Lsn, what: Follow) -> Result<Follower, Refusal>;

    /// The first LSN not yet assigned. Callers share one question in flight; a linearizable answer
    /// was asked for after the caller arrived.
    async fn end(&self, linearizable: bool) -> Result<v1::EndAnswer, Refusal>;

    /// How far back the log goes, what holds it, and the snapshots to begin from (LOG.md §8).
    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal>;

    /// Moves a pin, or registers a snapshot; what stands already is no refusal (LOG-I16).
    async fn change_history(&self, change: v1::HistoryChange)
    -> Result<v1::HistoryAnswer, Refusal>;
}

/// One record to append, and what its frame must say.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub tags: Vec<Tag>,
    /// Encoded `v1::Guards`.
    pub guards: Bytes,
    /// (shard, term): the frame carries their count from 1 (FOLD-X5).
    pub order: Option<(u64, u64)>,
    /// Encoded `v1::Record`, at most 1 MiB.
    pub record: Bytes,
    /// LOG-U8: taken also when the disk is full.
    pub privileged: bool,
    /// The request that it is for, if that is sampled: units and the sequencer are told.
    pub trace: Option<TraceContext>,
}

/// What a follower wants.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// Frames with any of these; empty: every frame.
    pub tags: Vec<Tag>,
    /// Frames appended by this process come from its memory, the moment they are cut.
    pub own: bool,
}

/// Where a record lies for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub lsn: Lsn,
    pub log_time_us: u64,
    pub cut_seq: u64,
}

/// What a follower is given, in order.
#[expect(clippy::large_enum_variant, reason = "nearly all events are frames")]
#[derive(Clone, Debug)]
pub enum Event {
    Frame(FrameAt),
    /// Every LSN ≤ `lsn` is covered for these tags; `log_time_us` is a lower bound of the log time
    /// there, and exact when `lsn` ends a cut heard by this process. The last event of a batch.
    Through {
        lsn: Lsn,
        log_time_us: u64,
    },
}

/// A frame and its place. Its records have the LSNs from `first_lsn` on.
#[derive(Clone, Debug)]
pub struct FrameAt {
    pub first_lsn: Lsn,
    pub cut_seq: u64,
    pub log_time_us: u64,
    pub frame: Frame,
}

impl FrameAt {
    /// Inclusive.
    pub fn last_lsn(&self) -> Lsn {
        self.first_lsn + u64::from(self.frame.header.count) - 1
    }
}

/// Events that became known together; never empty, bounded in bytes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub events: Vec<Event>,
}

/// True when a reader of `wanted` needs a frame with `tags`.
pub(crate) fn wants(wanted: &[Tag], tags: &[Tag]) -> bool {
    wanted.is_empty() || tags.iter().any(|tag| wanted.contains(tag))
}
