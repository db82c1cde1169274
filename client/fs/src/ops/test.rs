//! Test: whether there is something, and of which kind, without an error when there is not.

use dfs_wire::{Code, Refusal};

use crate::address::Address;
use crate::entry::Kind;
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    /// True when there is an entry; with `kind`, one of this kind. A file where the path needs a
    /// directory means that there is none.
    pub async fn test(
        &self,
        at: &Address,
        when: When,
        kind: Option<Kind>,
    ) -> Result<bool, Refusal> {
        match self.find(at, when).await {
            Ok(found) => Ok(found.is_some_and(|entry| kind.is_none_or(|kind| entry.kind == kind))),
            Err(refusal) if refusal.code() == Code::WrongKind => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}
