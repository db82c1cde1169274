//! How a materializer is started, and the bounds of its machinery with their reasons.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use tokio::sync::watch;

use super::suspect::Suspect;
use crate::view::View;

/// The one shard of today. Its primary owns CONTROL as well (FOLD-L4).
pub(crate) const SHARD: u64 = 0;

/// Unanswered requests of one stream: four full frames of one client.
pub(crate) const STREAM_REQUESTS_MAX: usize = 2048;
/// Unanswered requests of all streams: what a second of full load brings.
pub(crate) const REQUESTS_MAX: usize = 16_384;
/// Batches on their way into the shard loop; each holds at most [`REQUESTS_CHUNK`] requests.
pub(crate) const ARRIVALS_MAX: usize = 256;
/// Requests that are handed on together, so that one client's batch never blocks another for long.
pub(crate) const REQUESTS_CHUNK: usize = 256;
/// Requests admitted and not planned, above which the loop takes no more batches in.
pub(crate) const QUEUE_FULL: usize = 4096;
/// Records of ours that are appended and not folded: two seconds of full load.
pub(crate) const IN_FLIGHT_MAX: usize = 16_384;
/// Plans made between two looks at the log: keeps the fold's latency below some milliseconds.
pub(crate) const PLANS_PER_TURN: usize = 256;
/// Orders to the shard loop from its own helpers: each has at most a few on the way.
pub(crate) const COMMANDS_MAX: usize = 1024;
/// Bytes of one message of answers, well below what a message may have.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Answers of a stream that its asker has not taken, above which no more reads are answered: four messages.
pub(crate) const HELD_BYTES_MAX: usize = 4 * ANSWER_BYTES_MAX;
/// Answers of one message.
pub(crate) const ANSWERS_MAX: usize = 512;

/// A request that names no deadline waits this long at most.
pub(crate) const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
/// Longer deadlines are cut: what waits is kept in memory.
pub(crate) const DEADLINE_MAX: Duration = Duration::from_secs(600);
/// How often the loop looks at deadlines, leases and members, when nothing else wakes it.
pub(crate) const TURN: Duration = Duration::from_millis(100);
/// A loop that was away longer was suspended: leases are restarted (FOLD-C2).
pub(crate) const STALL: Duration = Duration::from_secs(1);

/// Where folded state lies.
pub enum Store {
    /// A directory of its own; it may vanish, then the log is folded again.
    Directory(PathBuf),
    /// A view that outlives the role, or one in memory.
    Given(Arc<dyn View>),
}

impl Store {
    pub(crate) fn dir(&self) -> Option<PathBuf> {
        match self {
            Store::Directory(dir) => Some(dir.clone()),
            Store::Given(_) => None,
        }
    }
}

/// What a materializer needs to know.
pub struct MaterializerConfig {
    /// Node id and incarnation of the process.
    pub owner: v1::Owner,
    /// Order of campaigns: rank × 100 ms (FOLD-T3).
    pub rank: u32,
    pub cluster_id: Bytes,
    pub store: Store,
    /// Written at genesis by whoever comes first (FOLD-T0).
    pub settings: v1::Settings,
    /// From the keep-alive stream of the process.
    pub members: watch::Receiver<Arc<v1::Members>>,
    /// How log units are reached, to store and load snapshots; `None`: there are none.
    pub units: Option<Arc<dyn Connector>>,
    pub snapshots: SnapshotPolicy,
    pub retention: RetentionPolicy,
    /// What the role that ran before in this process said of its state at its end (FOLD-X4b).
    pub suspect: Option<Suspect>,
}

/// How much history this node, as the primary, keeps readable.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetentionPolicy {
    /// µs, 0: for ever; `None`: as the cluster was made.
    pub time_us: Option<u64>,
    /// Of log; 0: without a bound.
    pub bytes: u64,
}

/// When the primary takes a snapshot: after so much log since the last one, whichever comes first, and
/// never before the log since outweighs the last one. 0: not by that.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPolicy {
    pub every_records: u64,
    pub every_bytes: u64,
}

impl Default for SnapshotPolicy {
    /// What a store folds again in some ten seconds.
    fn default() -> SnapshotPolicy {
        SnapshotPolicy {
            every_records: 1_000_000,
            every_bytes: 256 << 20,
        }
    }
}
