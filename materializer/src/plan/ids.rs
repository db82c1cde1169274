//! New ids of inodes, sessions and groups: one count, never reused.
use crate::state::{ROOT_INODE, counts};
use crate::view::{Read, ViewError};

/// Gives out ids. Everything that earlier owners gave out and that took effect is folded before a new owner
/// plans (FOLD-T2), so going on above the largest id folded never repeats one; ids of void frames may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    next: u64,
}

impl Ids {
    /// For an owner that has folded its own `TermStarted`.
    pub fn resume(folded: &dyn Read) -> Result<Ids, ViewError> {
        Ok(Ids {
            next: counts(folded)?.largest_id.max(ROOT_INODE) + 1,
        })
    }

    pub fn allocate(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}
