//! The fold: frames in, rows out. Total, deterministic; what it does not know halts it (FOLD-G1, FOLD-X5).
mod halt;

pub use halt::Halt;

use crate::view::{Layer, Snapshot, Stamp, View, ViewError};
use dfs_wire::frame::Frame;
use dfs_wire::v1;
use std::sync::Arc;

/// Records of one batch: what one commit of the store is amortised over.
pub const BATCH_RECORDS_MAX: usize = 512;
/// Bytes of rows in one batch: bounds what a batch holds in memory.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// A frame at its place in the log.
#[derive(Clone, Debug)]
pub struct FoldFrame {
    pub first_lsn: u64,
    pub log_time_us: u64,
    pub cut_seq: u64,
    pub frame: Frame,
}

/// What a frame did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    pub first_lsn: u64,
    pub last_lsn: u64,
    pub log_time_us: u64,
    /// The guard that failed: the frame had no effect (FOLD-G4). `None`: it took effect.
    pub void: Option<String>,
    /// The results that its records gave to slots, with their LSNs; empty if void.
    pub slots: Vec<(u64, v1::SlotDone)>,
    /// Mutations of CONTROL that took effect, with their LSNs; the machinery watches terms, sessions, groups, digests.
    pub control: Vec<(u64, v1::Mutation)>,
    /// Records of digests of any replica, beside what this replica held there (`None`: no longer, or not, known).
    pub digests: Vec<(v1::DigestTaken, Option<u64>)>,
}

/// Folds into a store, batch by batch.
pub struct Folder {
    view: Arc<dyn View>,
    base: Snapshot,
    layer: Layer,
    stamp: Stamp,
    records: usize,
}

impl Folder {
    /// Goes on where the store stands.
    pub fn new(view: Arc<dyn View>) -> Folder {
        let base = view.snapshot();
        let stamp = base.stamp;
        Folder { view, base, layer: Layer::default(), stamp, records: 0 }
    }

    /// The position after the last frame folded, committed or not.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The state after the last commit.
    pub fn snapshot(&self) -> &Snapshot {
        &self.base
    }

    /// Folds a frame into the open batch. Frames come in LSN order without a gap.
    ///
    /// # Errors
    /// [`Halt`]: nothing of the frame is in the batch; the replica stops here and says why.
    pub fn fold(&mut self, frame: &FoldFrame) -> Result<Folded, Halt> {
        todo!("{}", frame.first_lsn)
    }

    /// Whether the batch should be committed before another frame is folded.
    pub fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS_MAX || self.layer.bytes() >= BATCH_BYTES_MAX
    }

    /// Whether anything is folded that is not committed.
    pub fn is_dirty(&self) -> bool {
        self.stamp != self.base.stamp
    }

    /// Writes the batch and publishes the state after it (I1).
    pub fn commit(&mut self) -> Result<Snapshot, ViewError> {
        if self.is_dirty() {
            self.view.commit(std::mem::take(&mut self.layer), self.stamp)?;
            self.base = self.view.snapshot();
            self.records = 0;
        }
        Ok(self.base.clone())
    }
}
