//! What a unit is started with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Disk;
use dfs_wire::v1;

/// Frames kept in memory for followers: some seconds of a busy log.
const CACHE_BYTES: usize = 64 << 20;
/// One extent file: large enough that a disk full of them has some thousand.
const EXTENT_FILE_BYTES: u64 = 1 << 30;
/// Of the log, read in the background to find damage: a tenth of a slow disk.
const SCRUB_BYTES_PER_S: u64 = 8 << 20;
/// Before the first round and between two.
const SCRUB_EVERY: Duration = Duration::from_secs(24 * 3600);

/// One unit: who it is and where it keeps things. `log` and `extents` are disks of their own
/// (LOG-U7b), already locked and identified (`format_or_open`).
#[derive(Clone)]
pub struct UnitConfig {
    /// Given by `Register`.
    pub unit_id: u64,
    /// Of the unit's directories, 16 bytes.
    pub nonce: Bytes,
    /// Given by `Register`, 16 bytes.
    pub cluster_id: Bytes,
    /// The process: node id and incarnation.
    pub node: v1::Owner,
    pub log: Arc<dyn Disk>,
    pub extents: Arc<dyn Disk>,
    /// Bytes of frames kept in memory.
    pub cache_bytes: usize,
    /// The log's first segment, and the size up to which each next one doubles (LOG.md §7).
    pub segment_bytes_min: u64,
    pub segment_bytes_max: u64,
    /// At most so large, unless it holds a single extent.
    pub extent_file_bytes: u64,
    /// 0: damage is only found where somebody reads.
    pub scrub_bytes_per_s: u64,
    pub scrub_every: Duration,
    /// A defect on purpose: the judge in the tests has to catch it.
    #[cfg(test)]
    pub(crate) reports_before_sync: bool,
}

impl UnitConfig {
    /// With the usual sizes.
    pub fn new(
        unit_id: u64,
        nonce: Bytes,
        cluster_id: Bytes,
        node: v1::Owner,
        log: Arc<dyn Disk>,
        extents: Arc<dyn Disk>,
    ) -> UnitConfig {
        UnitConfig {
            unit_id,
            nonce,
            cluster_id,
            node,
            log,
            extents,
            cache_bytes: CACHE_BYTES,
            segment_bytes_min: 8 << 20,
            segment_bytes_max: 256 << 20,
            extent_file_bytes: EXTENT_FILE_BYTES,
            scrub_bytes_per_s: SCRUB_BYTES_PER_S,
            scrub_every: SCRUB_EVERY,
            #[cfg(test)]
            reports_before_sync: false,
        }
    }
}
