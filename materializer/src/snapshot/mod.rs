//! Snapshots as bytes: a state in, chunks out, and back (FOLD-X3). Pure; what lies where is SNAPSHOT.md.
#![doc = include_str!("../../SNAPSHOT.md")]
mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub(crate) use decode::{Decoder, Piece};
pub(crate) use encode::Encoder;

use crate::view::{Keyspace, Stamp};
use bytes::Bytes;

const MAGIC: [u8; 8] = *b"dfs-snap";
const FORMAT: u32 = 1;
const HASH_BYTES: usize = 32;
/// Before the hash.
const HEAD_FIELDS: usize = 52;
const HEAD_BYTES: usize = HEAD_FIELDS + HASH_BYTES;
const CHUNK_FIELDS: usize = 20;
const CHUNK_HEAD_BYTES: usize = CHUNK_FIELDS + HASH_BYTES;
const ROW_FIELDS: usize = 9;
/// A chunk ends with the row that reaches this: large enough to compress, small enough to hold.
const CHUNK_RAW_BYTES: usize = 1 << 20;
/// A reader takes no larger one: a chunk, and the largest row there can be, a record with its versions.
const CHUNK_BYTES_MAX: usize = 8 << 20;

const KIND_CHUNK: u32 = 1;
const KIND_END: u32 = 2;

/// A row: where, key, value.
pub(crate) type Row = (Keyspace, Bytes, Bytes);

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) shard: u64,
    pub(crate) stamp: Stamp,
}

/// What a chunk says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChunkHead {
    kind: u32,
    index: u32,
    rows: u32,
    raw_bytes: u32,
    stored_bytes: u32,
}

impl ChunkHead {
    fn fields(&self) -> [u8; CHUNK_FIELDS] {
        let parts = [
            self.kind,
            self.index,
            self.rows,
            self.raw_bytes,
            self.stored_bytes,
        ];
        let mut fields = [0; CHUNK_FIELDS];
        for (field, part) in fields.chunks_exact_mut(4).zip(parts) {
            field.copy_from_slice(&part.to_le_bytes());
        }
        fields
    }
}

type Hash = [u8; HASH_BYTES];

/// Of a chunk or the end, after the hash before it.
fn hash_after(before: &Hash, fields: &[u8], stored: &[u8]) -> Hash {
    let mut hash = blake3::Hasher::new();
    hash.update(before).update(fields).update(stored);
    *hash.finalize().as_bytes()
}
