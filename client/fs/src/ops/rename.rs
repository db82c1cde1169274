//! Rename: one entry, with all below it, to another place of the same tree.

use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

impl Fs {
    /// As `rename(2)`: `to` is the new name itself; a file there is replaced unless `no_replace`.
    /// `WrongKind` into itself.
    pub async fn rename(
        &self,
        from: &Address,
        to: &Address,
        no_replace: bool,
    ) -> Result<Committed, Refusal> {
        if from != to && from.contains(to) {
            let what = format!("moving {from} to {to}");
            return Err(Refusal::new(
                Code::WrongKind,
                what,
                "a directory cannot go into itself",
            ));
        }
        let rename = v1::Rename {
            from: Some(from.to_wire()),
            to: Some(to.to_wire()),
            no_replace,
        };
        self.mutate(from, mutate::Op::Rename(rename)).await
    }
}
