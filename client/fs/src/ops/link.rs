//! Link: one more name for a file or symlink that is there.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// As `link(2)`: both names are the same file from then on, with one content, one mode, one owner
    /// and one time. `Exists` when there is something at `to`, `WrongKind` for a directory; a
    /// symlink is linked itself.
    pub async fn link(&self, from: &Address, to: &Address) -> Result<Committed, Refusal> {
        let link = v1::Link {
            from: Some(from.to_wire()),
            to: Some(to.to_wire()),
        };
        self.mutate(to, mutate::Op::Link(link)).await
    }
}
