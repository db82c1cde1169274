//! Reads: everything a request sees, at one LSN of one snapshot (FOLD-R1).
use crate::view::Snapshot;
use dfs_wire::{Refusal, v1};

/// An LSN with its log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub lsn: u64,
    pub log_time_us: u64,
}

/// A state to read: that of `snapshot` at `lsn` ≤ its stamp.
#[derive(Clone, Copy)]
pub struct At<'a> {
    snapshot: &'a Snapshot,
    lsn: u64,
}

impl<'a> At<'a> {
    /// What is folded.
    pub fn head(snapshot: &'a Snapshot) -> At<'a> {
        At { snapshot, lsn: snapshot.stamp.lsn }
    }

    /// The past. Refused with NOT_YET above what is folded, with TRIMMED below the floor (FOLD-X3).
    pub fn lsn(snapshot: &'a Snapshot, lsn: u64) -> Result<At<'a>, Refusal> {
        Ok(At { snapshot, lsn })
    }
}

pub fn stat(at: At<'_>, path: &v1::Path, with_content: bool) -> Result<v1::Entry, Refusal> {
    let _ = (at, path, with_content, at.snapshot, at.lsn);
    todo!()
}

pub fn list(at: At<'_>, request: &v1::ListRequest) -> Result<v1::Listing, Refusal> {
    let _ = (at, request);
    todo!()
}

/// The last LSN with log time ≤ `time_us` (FOLD-R4: the caller has seen to it that one above is folded, or
/// that `time_us` is the log time of the last). LSN 0: nothing was there yet.
pub fn resolve_time(snapshot: &Snapshot, time_us: u64) -> Result<Moment, Refusal> {
    let _ = (snapshot, time_us);
    todo!()
}

/// The log time of an LSN ≤ the snapshot's.
pub fn moment_of(snapshot: &Snapshot, lsn: u64) -> Result<Moment, Refusal> {
    let _ = (snapshot, lsn);
    todo!()
}
