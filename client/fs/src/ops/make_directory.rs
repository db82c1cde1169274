//! Make a directory, also the missing ones above it.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// `parents` also makes the missing ones above it; then an existing directory is no refusal
    /// either, as for `mkdir -p`. `mode` `None`: 0755.
    pub async fn mkdir(
        &self,
        at: &Address,
        mode: Option<u32>,
        parents: bool,
    ) -> Result<Committed, Refusal> {
        let attr = v1::Attr {
            mode: mode.unwrap_or(0o755),
            uid: self.config().uid,
            gid: self.config().gid,
            mtime_ns: self.now_ns(),
        };
        self.make_directory(at, attr, parents).await
    }

    pub(crate) async fn make_directory(
        &self,
        at: &Address,
        attr: v1::Attr,
        parents: bool,
    ) -> Result<Committed, Refusal> {
        let make = v1::MakeDirectory {
            path: Some(at.to_wire()),
            attr: Some(attr),
            parents,
            exist_ok: parents,
        };
        self.mutate(at, mutate::Op::MakeDirectory(make)).await
    }
}
