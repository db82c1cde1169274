//! What rows hold: messages in a canonical encoding (fields in order, no maps, no floats). The digest hashes
//! these bytes (FOLD-X4), so their numbers never change meaning and never come back.
use bytes::Bytes;
use dfs_wire::v1;
use prost::Message;

/// An entry: (tree, parent, name).
#[derive(Clone, PartialEq, Message)]
pub struct EntryValue {
    #[prost(uint64, tag = "1")]
    pub inode: u64,
    #[prost(enumeration = "v1::Kind", tag = "2")]
    pub kind: i32,
    #[prost(message, optional, tag = "3")]
    pub attr: Option<v1::Attr>,
    /// Of a file. Its extents lie in chunk rows if `chunks` is not 0.
    #[prost(message, optional, tag = "4")]
    pub content: Option<v1::Content>,
    #[prost(bytes = "bytes", tag = "5")]
    pub link_target: Bytes,
    /// How many extents lie in chunk rows.
    #[prost(uint32, tag = "6")]
    pub chunked_extents: u32,
}

/// A directory's own row: (tree, inode, ""). Only deltas and times of day touch it (FOLD-X8, FOLD-P1).
#[derive(Clone, PartialEq, Message)]
pub struct DirectoryValue {
    #[prost(sint64, tag = "1")]
    pub mtime_ns: i64,
    #[prost(uint64, tag = "2")]
    pub children: u64,
}

/// A run of the extents of a file: (tree, inode, offset of its first byte).
#[derive(Clone, PartialEq, Message)]
pub struct ChunkValue {
    #[prost(message, repeated, tag = "1")]
    pub extents: Vec<v1::ExtentRef>,
}

/// A directory in the skeleton: (tree, inode).
#[derive(Clone, PartialEq, Message)]
pub struct PlaceValue {
    #[prost(uint64, tag = "1")]
    pub parent: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub name: Bytes,
    /// Removed with all that lies below it.
    #[prost(bool, tag = "3")]
    pub detached: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct TermValue {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(message, optional, tag = "2")]
    pub owner: Option<v1::Owner>,
}

/// Frames of a term that are folded (FOLD-X5). Not an effect.
#[derive(Clone, PartialEq, Message)]
pub struct OrderValue {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub frames: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct SessionValue {
    #[prost(string, tag = "1")]
    pub actor: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub client_nonce: Bytes,
    #[prost(uint64, tag = "3")]
    pub opened_lsn: u64,
    #[prost(uint64, tag = "4")]
    pub opened_log_time_us: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct NonceValue {
    #[prost(uint64, tag = "1")]
    pub session: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct SlotValue {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
    #[prost(uint64, tag = "3")]
    pub lsn: u64,
    #[prost(uint64, tag = "4")]
    pub log_time_us: u64,
    #[prost(message, optional, tag = "5")]
    pub result: Option<v1::SlotResult>,
}

/// An inode refers to an extent: alive in [made, released); 0: not released.
#[derive(Clone, PartialEq, Message)]
pub struct HoldValue {
    #[prost(uint64, tag = "1")]
    pub group: u64,
    #[prost(uint32, tag = "2")]
    pub generation: u32,
    #[prost(uint32, tag = "3")]
    pub stored_length: u32,
    #[prost(uint64, tag = "4")]
    pub made: u64,
    #[prost(uint64, tag = "5")]
    pub released: u64,
}

/// What a replica said its digest was.
#[derive(Clone, PartialEq, Message)]
pub struct DigestValue {
    #[prost(uint64, tag = "1")]
    pub lsn: u64,
    #[prost(fixed64, tag = "2")]
    pub digest: u64,
}

/// Derived from other rows. Not an effect.
#[derive(Clone, PartialEq, Message)]
pub struct CountsValue {
    /// The largest id of an inode, session or group.
    #[prost(uint64, tag = "1")]
    pub largest_id: u64,
    /// Entries of the namespace, those below detached directories included.
    #[prost(uint64, tag = "2")]
    pub entries: u64,
}
