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
        // Every attempt has to see the same source: one LSN, or what stands when it is planned.
        let from_view = match when {
            When::Head => None,
            When::Lsn(_) => self.view(when),
            _ => self.view(self.resolve(when).await?.when()),
        };
        let copy = v1::Copy {
            from: Some(from.to_wire()),
            from_view,
            to: Some(to.to_wire()),
            mode: mode as i32,
        };
        self.mutate(to, mutate::Op::Copy(copy)).await
    }
}
