//! The key-value view: where folded state lies. Two stores of one contract: memory, and fjall on disk.
//!
//! A batch is atomic across the keyspaces and carries the applied position, which is stamped in **each** of
//! them: a store whose stamps differ lost part of a batch and is deleted, never repaired (DESIGN.md §5).
mod layer;
mod lsm;
mod memory;

#[cfg(test)]
mod contract;

pub use layer::{Layer, Layered};
pub use lsm::LsmView;
pub use memory::MemoryView;

use bytes::Bytes;
use std::sync::Arc;

/// Where a row lies. The order is that of batches on disk; numbers never come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Keyspace {
    /// (tree, parent, name) → the current row.
    Head = 0,
    /// (tree, parent, name, !lsn) → superseded rows, newest first.
    History = 1,
    /// (session, shard, slot) → the last result.
    Slots = 2,
    /// What guards look at, the skeleton, the index of time, the ring of digests.
    Control = 3,
    /// (extent, tree, inode) → from when to when the inode refers to the extent.
    Blocks = 4,
}

impl Keyspace {
    pub const ALL: [Keyspace; 5] = [
        Keyspace::Head,
        Keyspace::History,
        Keyspace::Slots,
        Keyspace::Control,
        Keyspace::Blocks,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Keyspace::Head => "head",
            Keyspace::History => "history",
            Keyspace::Slots => "slots",
            Keyspace::Control => "control",
            Keyspace::Blocks => "blocks",
        }
    }
}

/// Up to where a store has folded (FOLD-X7); written with every batch, in each keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The last LSN folded; 0: nothing yet.
    pub lsn: u64,
    pub log_time_us: u64,
    pub cut_seq: u64,
    /// The running digest after `lsn` (FOLD-X4).
    pub digest: u64,
}

const STAMP_FORMAT: u8 = 1;
const STAMP_BYTES: usize = 33;
/// Above every key that rows use, so that no scan meets it.
pub(crate) const STAMP_KEY: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xffstamp";

impl Stamp {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(STAMP_BYTES);
        out.push(STAMP_FORMAT);
        for part in [self.lsn, self.log_time_us, self.cut_seq, self.digest] {
            out.extend_from_slice(&part.to_le_bytes());
        }
        Bytes::from(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Stamp> {
        let (&format, parts) = bytes.split_first()?;
        let (parts, rest) = parts.as_chunks::<8>();
        let [lsn, log_time_us, cut_seq, digest] = parts.first_chunk()?.map(u64::from_le_bytes);
        let whole = format == STAMP_FORMAT && parts.len() == 4 && rest.is_empty();
        whole.then_some(Stamp {
            lsn,
            log_time_us,
            cut_seq,
            digest,
        })
    }
}

/// Why a store cannot serve. Every kind ends its use; what can be rebuilt is not repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The keyspaces were not written together: delete the store and fold the log again.
    #[error("the keyspaces of the store disagree: {0}")]
    Disagree(String),
    /// A row or stamp that this build cannot read: delete the store and fold the log again.
    #[error("the store holds what this build cannot read: {0}")]
    Format(String),
    /// A write or sync failed; nothing more is accepted until the store is opened anew.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl ViewError {
    /// Whether deleting the store and refolding is the cure (else: open it again once the disk is well).
    pub fn wants_refold(&self) -> bool {
        matches!(self, ViewError::Disagree(_) | ViewError::Format(_))
    }
}

/// Rows in rising key order.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), ViewError>> + 'a>;

/// One unchanging state.
pub trait Read {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError>;
    /// Rows with `from` ≤ key < `to`.
    fn scan<'a>(&'a self, space: Keyspace, from: &[u8], to: &[u8]) -> Scan<'a>;
    /// The row with the greatest key in [`from`, `to`).
    fn last(
        &self,
        space: Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Bytes, Bytes)>, ViewError>;
}

/// The state after one batch, with its position. Cheap to clone; stays as it is while folding goes on.
#[derive(Clone)]
pub struct Snapshot {
    pub stamp: Stamp,
    rows: Arc<dyn Read + Send + Sync>,
}

impl Snapshot {
    pub(crate) fn new(stamp: Stamp, rows: Arc<dyn Read + Send + Sync>) -> Snapshot {
        Snapshot { stamp, rows }
    }
}

impl Read for Snapshot {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        self.rows.get(space, key)
    }

    fn scan<'a>(&'a self, space: Keyspace, from: &[u8], to: &[u8]) -> Scan<'a> {
        self.rows.scan(space, from, to)
    }

    fn last(
        &self,
        space: Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Bytes, Bytes)>, ViewError> {
        self.rows.last(space, from, to)
    }
}

/// A store of rows. One writer; snapshots and `persist` from anywhere.
pub trait View: Send + Sync {
    /// The state after the last batch.
    fn snapshot(&self) -> Snapshot;
    /// Applies all writes of the layer and the stamp, or nothing. Visible at once, durable only after `persist`.
    fn commit(&self, batch: Layer, stamp: Stamp) -> Result<(), ViewError>;
    /// Makes every batch committed before this call durable. Blocks on the disk.
    fn persist(&self) -> Result<(), ViewError>;
    /// Lets go of rows that nothing folds or reads any more, from any thread, beside the one writer. What
    /// of it outlives a crash does no harm.
    fn forget(&self, rows: Vec<(Keyspace, Bytes)>) -> Result<(), ViewError>;
    /// Empties the store, to be filled by `load`. Until `end_load` it is nothing: opened anew it disagrees.
    fn begin_load(&self) -> Result<(), ViewError>;
    /// Rows of a snapshot; each key once.
    fn load(&self, rows: Vec<(Keyspace, Bytes, Bytes)>) -> Result<(), ViewError>;
    /// From now on the store is what was loaded, durably.
    fn end_load(&self, stamp: Stamp) -> Result<(), ViewError>;
}

/// The one stamp of all keyspaces, from what each holds.
pub(crate) fn agree(found: &[(Keyspace, Option<Bytes>)]) -> Result<Stamp, ViewError> {
    let mut stamps = Vec::with_capacity(found.len());
    for (space, bytes) in found {
        let stamp = match bytes {
            None => Stamp::default(),
            Some(bytes) => Stamp::decode(bytes)
                .ok_or_else(|| ViewError::Format(format!("the stamp of {}", space.name())))?,
        };
        stamps.push((space, stamp));
    }
    let first = stamps.first().map(|(_, stamp)| *stamp).unwrap_or_default();
    if stamps.iter().all(|(_, stamp)| *stamp == first) {
        return Ok(first);
    }
    let listed: Vec<String> = stamps
        .iter()
        .map(|(space, stamp)| format!("{} at {}", space.name(), stamp.lsn))
        .collect();
    Err(ViewError::Disagree(listed.join(", ")))
}

/// Every row of a state.
#[cfg(test)]
pub(crate) fn dump(read: &dyn Read) -> Vec<(Keyspace, Bytes, Bytes)> {
    let rows = Keyspace::ALL.into_iter().flat_map(|space| {
        read.scan(space, &[], &[0xff; 40])
            .map(move |row| row.map(|(key, value)| (space, key, value)))
    });
    rows.collect::<Result<_, _>>()
        .expect("a store under test reads")
}
