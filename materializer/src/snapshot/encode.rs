//! A state becomes chunks, one at a time.
use super::{
    CHUNK_RAW_BYTES, ChunkHead, FORMAT, HEAD_BYTES, Hash, Head, KIND_CHUNK, KIND_END, MAGIC,
    ROW_FIELDS, hash_after,
};
use crate::view::{Keyspace, Read, STAMP_KEY, Snapshot, ViewError};
use bytes::{BufMut, Bytes, BytesMut};

/// Fast, and within some percent of what slower levels give on rows like these.
const ZSTD_LEVEL: i32 = 1;

/// Where the next chunk begins. It holds no iterator, so that chunks can be made on any thread.
pub(crate) struct Encoder {
    snapshot: Snapshot,
    shard: u64,
    next: Next,
    hash: Hash,
    chunks: u32,
}

enum Next {
    Head,
    /// Rows of this keyspace from this key on; then those of the ones after it.
    Rows(usize, Vec<u8>),
    Done,
}

impl Encoder {
    pub(crate) fn new(snapshot: Snapshot, shard: u64) -> Encoder {
        Encoder {
            snapshot,
            shard,
            next: Next::Head,
            hash: Hash::default(),
            chunks: 0,
        }
    }

    /// The next part of the stream; `None` after the end. Reads the store.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, ViewError> {
        match std::mem::replace(&mut self.next, Next::Done) {
            Next::Head => {
                self.next = Next::Rows(0, Vec::new());
                Ok(Some(self.head()))
            }
            Next::Rows(space, from) => self.chunk(space, from).map(Some),
            Next::Done => Ok(None),
        }
    }

    fn head(&mut self) -> Bytes {
        let Head { shard, stamp } = Head {
            shard: self.shard,
            stamp: self.snapshot.stamp,
        };
        let mut out = BytesMut::with_capacity(HEAD_BYTES);
        out.put_slice(&MAGIC);
        out.put_u32_le(FORMAT);
        for part in [
            shard,
            stamp.lsn,
            stamp.log_time_us,
            stamp.cut_seq,
            stamp.digest,
        ] {
            out.put_u64_le(part);
        }
        self.hash = *blake3::hash(&out).as_bytes();
        out.put_slice(&self.hash);
        out.freeze()
    }

    fn chunk(&mut self, space: usize, from: Vec<u8>) -> Result<Bytes, ViewError> {
        let mut raw = Vec::with_capacity(CHUNK_RAW_BYTES + ROW_FIELDS);
        let (rows, next) = self.fill(&mut raw, space, from)?;
        self.next = next;
        if rows == 0 {
            self.next = Next::Done;
            return Ok(self.seal(KIND_END, self.chunks, 0, &[], &[]));
        }
        let stored = zstd::bulk::compress(&raw, ZSTD_LEVEL)
            .map_err(|e| ViewError::Failed(format!("compress a chunk: {e}")))?;
        self.chunks += 1;
        Ok(self.seal(KIND_CHUNK, self.chunks - 1, rows, &raw, &stored))
    }

    /// Rows into `raw` until it is full; how many, and where the next chunk begins.
    fn fill(
        &self,
        raw: &mut Vec<u8>,
        space: usize,
        from: Vec<u8>,
    ) -> Result<(u32, Next), ViewError> {
        let (mut rows, mut from) = (0, from);
        for (n, space) in Keyspace::ALL.into_iter().enumerate().skip(space) {
            for row in self.snapshot.scan(space, &from, STAMP_KEY) {
                let (key, value) = row?;
                raw.push(space as u8);
                raw.extend_from_slice(&(key.len() as u32).to_le_bytes());
                raw.extend_from_slice(&(value.len() as u32).to_le_bytes());
                raw.extend_from_slice(&key);
                raw.extend_from_slice(&value);
                rows += 1;
                if raw.len() >= CHUNK_RAW_BYTES {
                    let mut after = key.to_vec();
                    after.push(0);
                    return Ok((rows, Next::Rows(n, after)));
                }
            }
            from.clear();
        }
        Ok((rows, Next::Rows(Keyspace::ALL.len(), Vec::new())))
    }

    fn seal(&mut self, kind: u32, index: u32, rows: u32, raw: &[u8], stored: &[u8]) -> Bytes {
        let head = ChunkHead {
            kind,
            index,
            rows,
            raw_bytes: raw.len() as u32,
            stored_bytes: stored.len() as u32,
        };
        let fields = head.fields();
        self.hash = hash_after(&self.hash, &fields, stored);
        let mut out = BytesMut::with_capacity(super::CHUNK_HEAD_BYTES + stored.len());
        out.put_slice(&fields);
        out.put_slice(&self.hash);
        out.put_slice(stored);
        out.freeze()
    }
}
