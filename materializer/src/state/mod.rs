//! Which rows there are, how they are keyed and written; and typed access to CONTROL for guards and machinery.
use crate::view::{Read, ViewError};
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

/// `None`: no term yet (genesis has not happened).
pub fn term(read: &dyn Read, shard: u64) -> Result<Option<Term>, ViewError> {
    let _ = (read, shard);
    todo!()
}

/// Node ids, rising.
pub fn replicas(read: &dyn Read, shard: u64) -> Result<Vec<u64>, ViewError> {
    let _ = (read, shard);
    todo!()
}

/// `None` before genesis.
pub fn cluster(read: &dyn Read) -> Result<Option<v1::ClusterCreated>, ViewError> {
    let _ = read;
    todo!()
}

pub fn session(read: &dyn Read, session: u64) -> Result<Option<Session>, ViewError> {
    let _ = (read, session);
    todo!()
}

/// By rising id.
pub fn sessions(read: &dyn Read) -> Result<Vec<Session>, ViewError> {
    let _ = read;
    todo!()
}

pub fn slot(read: &dyn Read, session: u64, shard: u64, slot: u32) -> Result<Option<Slot>, ViewError> {
    let _ = (read, session, shard, slot);
    todo!()
}

pub fn group(read: &dyn Read, group: u64) -> Result<Option<v1::Group>, ViewError> {
    let _ = (read, group);
    todo!()
}

/// By rising id.
pub fn groups(read: &dyn Read) -> Result<Vec<v1::Group>, ViewError> {
    let _ = read;
    todo!()
}

/// The digest after `lsn`, if it is the current one or in the ring (LSN ≡ 0 mod 4096, the last 64; FOLD-X4).
pub fn digest(read: &dyn Read, lsn: u64) -> Result<Option<u64>, ViewError> {
    let _ = (read, lsn);
    todo!()
}
