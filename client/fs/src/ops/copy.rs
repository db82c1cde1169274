//! Copy a file by reference, also from the past: no byte moves.

use dfs_wire::v1::mutate;
use dfs_wire::{Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    /// The file `from` as it was at `when` becomes the file `to`; `create_only` refuses with
    /// `Exists` when there is one.
    pub async fn copy(
        &self,
        from: &Address,
        when: When,
        to: &Address,
        create_only: bool,
    ) -> Result<Committed, Refusal> {
        let mode = match create_only {
            true => v1::CommitMode::Create,
            false => v1::CommitMode::Replace,
        };
        let copy = v1::Copy {
            from: Some(from.to_wire()),
            from_view: self.view(when),
            to: Some(to.to_wire()),
            mode: mode as i32,
        };
        self.mutate(to, mutate::Op::Copy(copy)).await
    }
}
