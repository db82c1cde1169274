//! Who needs a frame: the tags in its header (DESIGN.md §4). Numbers never come back.

/// A tag of a frame. Opaque to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// How many hash buckets the block map has (FOLD-B2); a group lies in one.
pub const BLOCK_BUCKETS: u64 = 256;

impl Tag {
    /// Terms, splits, sessions, groups, settings, identities: folded by every materializer.
    pub const CONTROL: Tag = Tag(1 << 63);
    /// Directory facts: folded by every materializer.
    pub const SKELETON: Tag = Tag((1 << 63) | 1);

    /// The rows of one namespace shard. `shard` < 2^62.
    pub const fn shard(shard: u64) -> Tag {
        assert!(shard < 1 << 62);
        Tag(shard)
    }

    /// The block-map bucket of a group.
    pub const fn blocks(group: u64) -> Tag {
        Tag((1 << 62) | (group % BLOCK_BUCKETS))
    }
}
