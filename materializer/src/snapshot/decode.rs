//! A stream of bytes becomes rows again; what is damaged is refused with its place.
use super::{
    CHUNK_BYTES_MAX, CHUNK_FIELDS, CHUNK_HEAD_BYTES, ChunkHead, FORMAT, HEAD_BYTES, HEAD_FIELDS,
    Hash, Head, KIND_CHUNK, KIND_END, MAGIC, ROW_FIELDS, Row, hash_after,
};
use crate::view::{Keyspace, Stamp};
use bytes::{Buf, Bytes, BytesMut};

/// A snapshot that cannot be used: at which byte of its stream, in which part, why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}, {part}: {why}")]
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) part: String,
    pub(crate) why: String,
}

/// What comes out.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Head(Head),
    /// Of one chunk.
    Rows(Vec<Row>),
    /// Everything was there.
    End,
}

/// Takes the stream in pieces of any size.
#[derive(Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// Of the first byte in `buffer`.
    at: u64,
    expects: Expects,
    hash: Hash,
    chunks: u32,
    last: Option<(Keyspace, Bytes)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Head,
    Chunk,
    Nothing,
}

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece that is whole; `None`: more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Damage> {
        match self.expects {
            Expects::Head => self.head(),
            Expects::Chunk => self.chunk(),
            Expects::Nothing if self.buffer.is_empty() => Ok(None),
            Expects::Nothing => Err(self.damage("there are bytes behind the end")),
        }
    }

    /// The stream ended: was it whole?
    pub(crate) fn finish(&self) -> Result<(), Damage> {
        if self.expects == Expects::Nothing {
            return Ok(());
        }
        Err(self.damage("the stream ends here"))
    }

    fn damage(&self, why: impl Into<String>) -> Damage {
        let part = match self.expects {
            Expects::Head => "head".to_owned(),
            Expects::Chunk => format!("chunk {}", self.chunks),
            Expects::Nothing => "end".to_owned(),
        };
        Damage {
            at: self.at,
            part,
            why: why.into(),
        }
    }

    fn take(&mut self, count: usize) -> Bytes {
        self.at += count as u64;
        self.buffer.split_to(count).freeze()
    }

    fn head(&mut self) -> Result<Option<Piece>, Damage> {
        if self.buffer.len() < HEAD_BYTES {
            return Ok(None);
        }
        let (fields, rest) = self.buffer.split_at(HEAD_FIELDS);
        let hash = *blake3::hash(fields).as_bytes();
        if !fields.starts_with(&MAGIC) {
            return Err(self.damage("these bytes are no snapshot"));
        }
        if rest[..hash.len()] != hash {
            return Err(self.damage("it does not have its hash"));
        }
        let mut parts = &fields[MAGIC.len()..];
        let format = parts.get_u32_le();
        if format != FORMAT {
            return Err(self.damage(format!("format {format} is not known to this build")));
        }
        let shard = parts.get_u64_le();
        let stamp = Stamp {
            lsn: parts.get_u64_le(),
            log_time_us: parts.get_u64_le(),
            cut_seq: parts.get_u64_le(),
            digest: parts.get_u64_le(),
        };
        self.take(HEAD_BYTES);
        (self.hash, self.expects) = (hash, Expects::Chunk);
        Ok(Some(Piece::Head(Head { shard, stamp })))
    }

    fn chunk(&mut self) -> Result<Option<Piece>, Damage> {
        if self.buffer.len() < CHUNK_HEAD_BYTES {
            return Ok(None);
        }
        let mut parts = &self.buffer[..CHUNK_FIELDS];
        let head = ChunkHead {
            kind: parts.get_u32_le(),
            index: parts.get_u32_le(),
            rows: parts.get_u32_le(),
            raw_bytes: parts.get_u32_le(),
            stored_bytes: parts.get_u32_le(),
        };
        let (raw, stored) = (head.raw_bytes as usize, head.stored_bytes as usize);
        // Before anything is waited for or held: a damaged length must not ask for more than there is.
        if raw.max(stored) > CHUNK_BYTES_MAX {
            return Err(self.damage("its length cannot be true"));
        }
        if self.buffer.len() < CHUNK_HEAD_BYTES + stored {
            return Ok(None);
        }
        let (fields, rest) = self.buffer.split_at(CHUNK_FIELDS);
        let (told, rest) = rest.split_at(CHUNK_HEAD_BYTES - CHUNK_FIELDS);
        let hash = hash_after(&self.hash, fields, &rest[..stored]);
        if told != hash {
            return Err(self.damage("it does not have its hash"));
        }
        if head.index != self.chunks {
            return Err(self.damage(format!("it says that it is number {}", head.index)));
        }
        let piece = match head.kind {
            KIND_CHUNK => Piece::Rows(self.rows(&head, &rest[..stored])?),
            KIND_END => Piece::End,
            _ => return Err(self.damage("its kind is not known to this build")),
        };
        if let Piece::Rows(rows) = &piece {
            self.last = rows.last().map(|(space, key, _)| (*space, key.clone()));
        }
        self.take(CHUNK_HEAD_BYTES + stored);
        self.hash = hash;
        match piece {
            Piece::End => self.expects = Expects::Nothing,
            _ => self.chunks += 1,
        }
        Ok(Some(piece))
    }

    fn rows(&self, head: &ChunkHead, stored: &[u8]) -> Result<Vec<Row>, Damage> {
        let raw = zstd::bulk::decompress(stored, head.raw_bytes as usize)
            .map_err(|e| self.damage(format!("it cannot be decompressed: {e}")))?;
        let mut raw = Bytes::from(raw);
        let mut rows = Vec::with_capacity(head.rows as usize);
        while !raw.is_empty() {
            let row = row(&mut raw).ok_or_else(|| self.damage("a row is cut short"))?;
            let last = rows.last().map(|(space, key, _): &Row| (*space, key));
            let last = last.or(self.last.as_ref().map(|(space, key)| (*space, key)));
            if last.is_some_and(|last| last >= (row.0, &row.1)) {
                return Err(self.damage("its rows do not rise"));
            }
            rows.push(row);
        }
        if rows.len() != head.rows as usize {
            return Err(self.damage("it has another number of rows than it says"));
        }
        Ok(rows)
    }
}

fn row(raw: &mut Bytes) -> Option<Row> {
    if raw.len() < ROW_FIELDS {
        return None;
    }
    let space = raw.get_u8();
    let space = Keyspace::ALL
        .into_iter()
        .find(|known| *known as u8 == space)?;
    let (key, value) = (raw.get_u32_le() as usize, raw.get_u32_le() as usize);
    if raw.len() < key.checked_add(value)? {
        return None;
    }
    let key = raw.split_to(key);
    Some((space, key, raw.split_to(value)))
}
