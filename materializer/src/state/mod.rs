//! Which rows there are, how they are keyed and written; and typed access to CONTROL for guards and machinery.
mod control;
mod holds;
mod settings;

pub(crate) mod content;
pub(crate) mod keys;
pub(crate) mod linked;
pub(crate) mod rows;
pub(crate) mod scan_at;
pub(crate) mod values;
pub(crate) mod walk;

pub use control::{
    agreed, cluster, digest, digest_every, digests_told, entries, floor, group, groups, replicas,
    session, session_of_nonce, sessions, slot, snapshots, term,
};
pub(crate) use control::{counts, is_replica, log_bytes, value};
pub(crate) use holds::held;
pub use settings::settings;
pub(crate) use settings::{made_with, over, setting_key, settings_lsn};

use dfs_wire::v1;

/// The root directory of tree 0.
pub const ROOT_INODE: u64 = 1;

/// The current term of a shard, folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The LSN of its `TermStarted`.
    pub lsn: u64,
    pub owner: v1::Owner,
    /// Frames of it that are folded: the next carries `frames + 1` (FOLD-X5).
    pub frames: u64,
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub session: u64,
    pub actor: String,
    pub opened_lsn: u64,
    pub opened_log_time_us: u64,
}

/// The last result of a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub seq: u64,
    pub attempt: u32,
    /// The LSN of the record that gave it.
    pub lsn: u64,
    pub log_time_us: u64,
    pub result: v1::SlotResult,
}
