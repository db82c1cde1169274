//! Reads: everything a request sees, at one LSN of one snapshot (FOLD-R1).
mod list;
pub(crate) mod path;
mod stat;
mod time;

pub use list::list;
pub use stat::stat;
pub use time::{moment_of, resolve_time};

use crate::state::rows::{self, Row, Versioned};
use crate::view::{Read, Snapshot, ViewError};
use bytes::Bytes;
use dfs_wire::{Code, Refusal};

/// An LSN with its log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub lsn: u64,
    pub log_time_us: u64,
}

/// A state to read: that of `snapshot` at `lsn` ≤ its stamp.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) lsn: u64,
}

impl<'a> At<'a> {
    /// What is folded.
    pub fn head(snapshot: &'a Snapshot) -> At<'a> {
        At {
            snapshot,
            lsn: snapshot.stamp.lsn,
        }
    }

    /// The past. Refused with NOT_YET above what is folded.
    pub fn lsn(snapshot: &'a Snapshot, lsn: u64) -> Result<At<'a>, Refusal> {
        if lsn > snapshot.stamp.lsn {
            let why = format!("only LSN {} and below are folded here", snapshot.stamp.lsn);
            return Err(Refusal::new(Code::NotYet, format!("LSN {lsn}"), why));
        }
        Ok(At { snapshot, lsn })
    }

    fn is_head(&self) -> bool {
        self.lsn == self.snapshot.stamp.lsn
    }

    /// The version of a row; a point read at the head, where history need not be asked.
    pub(crate) fn row(&self, kind: Versioned, key: &[u8]) -> Result<Option<Row<Bytes>>, Refusal> {
        let found = if self.is_head() {
            let row = self.snapshot.get(kind.space(), key);
            row.and_then(|row| row.as_ref().map(rows::split).transpose())
        } else {
            rows::at(self.snapshot, kind, key, self.lsn)
        };
        found.map_err(|error| unreadable(&error))
    }

    /// The rows of a range of head, rising.
    pub(crate) fn scan(&self, from: &[u8], to: &[u8]) -> crate::state::scan_at::ScanAt<'a> {
        if self.is_head() {
            crate::state::scan_at::now(self.snapshot, from, to)
        } else {
            crate::state::scan_at::past(self.snapshot, from, to, self.lsn)
        }
    }
}

/// A store that cannot be read serves nobody: another replica is asked.
pub(crate) fn unreadable(error: &ViewError) -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the store of this materializer",
        error.to_string(),
    )
}
