//! How far back the log goes, and what holds it: rows (LOG.md §8). Numbers never come back.
use crate::order::Order;
use dfs_wire::v1;
use prost::Message;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct History {
    /// Records below are trimmed; 0: none ever were.
    #[prost(uint64, tag = "1")]
    pub trim_lsn: u64,
    /// By name.
    #[prost(btree_map = "string, message", tag = "2")]
    pub pins: BTreeMap<String, v1::Pin>,
    /// By shard.
    #[prost(btree_map = "uint64, message", tag = "3")]
    pub snapshots: BTreeMap<u64, Snapshots>,
}

/// The newest snapshots of a shard, older first.
#[derive(Clone, PartialEq, Message)]
pub struct Snapshots {
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<v1::SnapshotRow>,
}

impl Order {
    pub(crate) fn history_answer(&self) -> v1::HistoryAnswer {
        let snapshots = self.history.snapshots.values();
        v1::HistoryAnswer {
            trim_lsn: self.history.trim_lsn,
            pins: self.history.pins.values().cloned().collect(),
            snapshots: snapshots.flat_map(|of| of.rows.iter().cloned()).collect(),
            next_lsn: self.next_lsn,
        }
    }
}
