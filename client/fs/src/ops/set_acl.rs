//! ACLs: entries added, changed and removed in one record; stored, and enforced by nobody yet.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// `change.path` is this entry's. Masks follow from the entries unless they are given; the mode's group bits
    /// are the mask. At most [`dfs_wire::limits::ACL_ENTRIES_MAX`] entries.
    pub async fn set_acl(&self, at: &Address, change: v1::SetAcl) -> Result<Committed, Refusal> {
        let set = v1::SetAcl {
            path: Some(at.to_wire()),
            ..change
        };
        self.mutate(at, mutate::Op::SetAcl(set)).await
    }
}
