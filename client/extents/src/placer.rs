//! Who says where extents go, and gives them their ids: whoever speaks to the primary of shard 0.

use async_trait::async_trait;
use dfs_wire::{Refusal, v1};

/// Given to [`crate::Extents`] by its owner, so that this crate needs no materializer.
#[async_trait]
pub trait Placer: Send + Sync {
    /// Open groups for this redundancy (`None`: the default of the settings), none of them in
    /// `failed_groups`, which is also the report of their failure (FOLD-B0).
    async fn place(
        &self,
        redundancy: Option<v1::Redundancy>,
        failed_groups: Vec<u64>,
    ) -> Result<v1::Placement, Refusal>;

    /// These groups as they are now, with the addresses of their units.
    async fn groups(&self, groups: Vec<u64>) -> Result<v1::Placement, Refusal>;

    /// What [`Placer::place`] said under another one is old: the settings have changed.
    fn epoch(&self) -> u64 {
        0
    }

    /// An id that was never given before: (session, counter).
    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal>;
}
