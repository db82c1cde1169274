//! What rows hold: messages in a canonical encoding (fields in order, no maps, no floats). The digest hashes
//! these bytes (FOLD-X4), so their numbers never change meaning and never come back.
use bytes::Bytes;
use dfs_wire::v1;
use prost::Message;

/// An entry: (tree, parent, name). Of what was linked it holds inode and kind, and the rest lies in the inode's
/// own row, (tree, inode, ""): `src/state/linked.rs`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EntryValue {
    #[prost(uint64, tag = "1")]
    pub(crate) inode: u64,
    #[prost(enumeration = "v1::Kind", tag = "2")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) attr: Option<v1::Attr>,
    /// Of a file. Its extents lie in chunk rows if `chunks` is not 0.
    #[prost(message, optional, tag = "4")]
    pub(crate) content: Option<v1::Content>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) link_target: Bytes,
    /// How many extents lie in chunk rows.
    #[prost(uint32, tag = "6")]
    pub(crate) chunked_extents: u32,
    /// Of an entry: the rest lies in the inode's own row.
    #[prost(bool, tag = "7")]
    pub(crate) linked: bool,
    /// Of an inode's own row: how many entries lead to it.
    #[prost(uint64, tag = "8")]
    pub(crate) links: u64,
    /// By name.
    #[prost(message, repeated, tag = "9")]
    pub(crate) xattrs: Vec<v1::Xattr>,
    /// As in `AclSet`.
    #[prost(message, optional, tag = "10")]
    pub(crate) acl: Option<v1::Acl>,
    #[prost(message, optional, tag = "11")]
    pub(crate) default_acl: Option<v1::Acl>,
}

/// A directory's own row: (tree, inode, ""). Only deltas and times of day touch it (FOLD-X8, FOLD-P1).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DirectoryValue {
    #[prost(sint64, tag = "1")]
    pub(crate) mtime_ns: i64,
    #[prost(uint64, tag = "2")]
    pub(crate) children: u64,
}

/// A run of the extents of a file: (tree, inode, offset of its first byte).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChunkValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) extents: Vec<v1::ExtentRef>,
}

/// A directory in the skeleton: (tree, inode).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PlaceValue {
    #[prost(uint64, tag = "1")]
    pub(crate) parent: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) name: Bytes,
    /// Removed with all that lies below it.
    #[prost(bool, tag = "3")]
    pub(crate) detached: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TermValue {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) owner: Option<v1::Owner>,
}

/// Frames of a term that are folded (FOLD-X5). Not an effect.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OrderValue {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) frames: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionValue {
    #[prost(string, tag = "1")]
    pub(crate) actor: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) client_nonce: Bytes,
    #[prost(uint64, tag = "3")]
    pub(crate) opened_lsn: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) opened_log_time_us: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NonceValue {
    #[prost(uint64, tag = "1")]
    pub(crate) session: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SlotValue {
    #[prost(uint64, tag = "1")]
    pub(crate) seq: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) attempt: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) lsn: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) log_time_us: u64,
    #[prost(message, optional, tag = "5")]
    pub(crate) result: Option<v1::SlotResult>,
}

/// An inode refers to an extent: alive in [made, released); 0: not released.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HoldValue {
    #[prost(uint64, tag = "1")]
    pub(crate) group: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) generation: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) stored_length: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) made: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) released: u64,
}

/// What a replica said its digest was.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DigestValue {
    #[prost(uint64, tag = "1")]
    pub(crate) lsn: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) digest: u64,
}

/// Up to where all replicas told the same digest, and which; or where a state was begun. Not an effect.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AgreedValue {
    #[prost(uint64, tag = "1")]
    pub(crate) lsn: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) digest: u64,
}

/// What was true below cannot be read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FloorValue {
    #[prost(uint64, tag = "1")]
    pub(crate) lsn: u64,
}

/// A setting that was changed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SettingValue {
    /// `None`: back to what the cluster was made with.
    #[prost(uint64, optional, tag = "1")]
    pub(crate) value: Option<u64>,
    #[prost(string, tag = "2")]
    pub(crate) actor: String,
}

/// Derived from other rows. Not an effect.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CountsValue {
    /// The largest id of an inode, session or group.
    #[prost(uint64, tag = "1")]
    pub(crate) largest_id: u64,
    /// Entries of the namespace, those below detached directories included.
    #[prost(uint64, tag = "2")]
    pub(crate) entries: u64,
}
