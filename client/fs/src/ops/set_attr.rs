//! Set attributes: permission bits, owner, time.

use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

/// Only what is present is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttrChange {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime_ns: Option<i64>,
}

impl Fs {
    pub async fn set_attr(&self, at: &Address, change: AttrChange) -> Result<Committed, Refusal> {
        if change.mode.is_some_and(|mode| mode > 0o7777) {
            let what = format!("mode of {at}");
            return Err(Refusal::new(
                Code::Invalid,
                what,
                "permission bits are 0 to 07777",
            ));
        }
        let set = v1::SetAttr {
            path: Some(at.to_wire()),
            mode: change.mode,
            uid: change.uid,
            gid: change.gid,
            mtime_ns: change.mtime_ns,
        };
        self.mutate(at, mutate::Op::SetAttr(set)).await
    }
}
