//! A frame: the unit of append and of fsync, 1…512 records with equal guards and tags, as it lies in a lane.
//!
//! Layout, little-endian: [`FixedHeader`], order (24 bytes, if flagged), tags (8 bytes each), guards, body, crc32c of
//! the body. The body is the records, each behind its length (u32), zstd-compressed if flagged.
//! The header's crc32c covers the fixed header up to that field, order, tags and guards.
mod contexts;
mod head;

pub use head::FrameHead;

use crate::limits::{
    FRAME_BODY_BYTES, FRAME_GUARDS_BYTES_MAX, FRAME_RECORDS_MAX, FRAME_TAGS_MAX, RECORD_BYTES_MAX,
};
use crate::tags::Tag;
use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::Xxh3;
use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const MAGIC: [u8; 4] = *b"dfsF";
const VERSION: u8 = 1;
const FLAG_ZSTD: u8 = 1;
const FLAG_ORDER: u8 = 2;
const FLAG_PRIVILEGED: u8 = 4;
const FLAGS_KNOWN: u8 = FLAG_ZSTD | FLAG_ORDER | FLAG_PRIVILEGED;
const ORDER_BYTES: usize = 24;
const LENGTH_BYTES: usize = 4;
const CRC_BYTES: usize = 4;
/// Largest raw body: one record of the largest size, or a full batch plus the record that overflowed it.
const RAW_BODY_MAX: usize = RECORD_BYTES_MAX + FRAME_BODY_BYTES + LENGTH_BYTES * FRAME_RECORDS_MAX;
/// Below this a compressed body saves less than its decompression costs.
const COMPRESS_FROM_BYTES: usize = 4096;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct FixedHeader {
    magic: [u8; 4],
    version: u8,
    flags: u8,
    tag_count: U16,
    lane: U64,
    first_idx: U64,
    chain: U128,
    count: U32,
    body_bytes: U32,
    raw_body_bytes: U32,
    guards_bytes: U32,
    header_crc32c: U32,
    reserved: U32,
}
const FIXED_BYTES: usize = size_of::<FixedHeader>();
const LANE_AT: std::ops::Range<usize> = 8..16;
const FIRST_IDX_AT: std::ops::Range<usize> = 16..24;
const CHAIN_AT: std::ops::Range<usize> = 24..40;
const HEADER_CRC_AT: usize = 56;
const _: () = assert!(FIXED_BYTES == 64);
const _: () = assert!(std::mem::offset_of!(FixedHeader, lane) == LANE_AT.start);
const _: () = assert!(std::mem::offset_of!(FixedHeader, first_idx) == FIRST_IDX_AT.start);
const _: () = assert!(std::mem::offset_of!(FixedHeader, chain) == CHAIN_AT.start);
const _: () = assert!(std::mem::offset_of!(FixedHeader, header_crc32c) == HEADER_CRC_AT);

/// Counts the frames of one term of one shard, from 1 (FOLD-X5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub shard: u64,
    pub term: u64,
    pub n: u64,
}

/// What stands before a frame's body. Tags, guards and order are opaque to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub lane: u64,
    pub first_idx: u64,
    /// 1…512.
    pub count: u32,
    /// The lane's chain before this frame.
    pub chain: u128,
    pub tags: Vec<Tag>,
    /// Encoded `v1::Guards`.
    pub guards: Bytes,
    pub order: Option<Order>,
    /// LOG-U8: taken also when the disk is full.
    pub privileged: bool,
}

/// A whole, verified frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub header: FrameHeader,
    bytes: Bytes,
    body: std::ops::Range<usize>,
    raw_body_bytes: usize,
    compressed: bool,
    chain_after: u128,
}

/// A frame that cannot be read. Never asserted: these bytes come from a network or a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the frame is cut short")]
    Short,
    #[error("these bytes are not a frame")]
    Magic,
    #[error("frame version or flags unknown to this build")]
    Unknown,
    #[error("a length in the frame is out of bounds")]
    Bounds,
    #[error("the frame header's checksum does not match")]
    HeaderChecksum,
    #[error("the frame body's checksum does not match")]
    BodyChecksum,
    #[error("the frame's body is not well formed")]
    Body,
}

/// What a frame is made of, before it has its place in a lane.
#[derive(Clone, Debug, Default)]
pub struct FrameDraft {
    pub tags: Vec<Tag>,
    pub guards: Bytes,
    pub order: Option<Order>,
    pub privileged: bool,
    /// 1…512 encoded records.
    pub records: Vec<Bytes>,
}

/// The chain of an empty lane.
pub fn first_chain(
    cluster_id: &[u8],
    generation: u64,
    lane: u64,
    node_id: u64,
    incarnation: u64,
) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(cluster_id);
    for part in [generation, lane, node_id, incarnation] {
        hash.update(&part.to_le_bytes());
    }
    hash.digest128()
}

/// Joins a chain that travelled as two halves.
pub const fn chain_of(high: u64, low: u64) -> u128 {
    ((high as u128) << 64) | low as u128
}

/// Splits a chain into (high, low) for travel.
pub const fn chain_halves(chain: u128) -> (u64, u64) {
    ((chain >> 64) as u64, chain as u64)
}

/// CRC-32/ISCSI, the checksum of frames, blocks and extents.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

impl FrameDraft {
    /// Gives the frame its place; its bytes are frozen from here on (LOG-A2).
    ///
    /// # Panics
    /// If it holds no record, more than 512, or a record above 1 MiB: the appender checks before.
    pub fn freeze(&self, lane: u64, first_idx: u64, chain: u128) -> Frame {
        assert!(
            (1..=FRAME_RECORDS_MAX).contains(&self.records.len()),
            "1…512 records in a frame"
        );
        assert!(
            self.records.iter().all(|r| r.len() <= RECORD_BYTES_MAX),
            "a record is at most 1 MiB"
        );
        assert!(self.tags.len() <= FRAME_TAGS_MAX && self.guards.len() <= FRAME_GUARDS_BYTES_MAX);
        let raw = self.raw_body();
        let raw_body_bytes = raw.len();
        let (body, compressed) = compress(raw);
        let bytes = self.assemble(lane, first_idx, chain, raw_body_bytes, &body, compressed);
        Frame::parse(bytes.freeze()).expect("a frame just made is well formed")
    }

    fn raw_body(&self) -> BytesMut {
        let size = self.records.iter().map(|r| r.len() + LENGTH_BYTES).sum();
        let mut raw = BytesMut::with_capacity(size);
        for record in &self.records {
            raw.put_u32_le(record.len() as u32);
            raw.put_slice(record);
        }
        raw
    }

    fn assemble(
        &self,
        lane: u64,
        first_idx: u64,
        chain: u128,
        raw_body_bytes: usize,
        body: &[u8],
        compressed: bool,
    ) -> BytesMut {
        let fixed = FixedHeader {
            magic: MAGIC,
            version: VERSION,
            flags: flag(compressed, FLAG_ZSTD)
                | flag(self.order.is_some(), FLAG_ORDER)
                | flag(self.privileged, FLAG_PRIVILEGED),
            tag_count: U16::new(self.tags.len() as u16),
            lane: U64::new(lane),
            first_idx: U64::new(first_idx),
            chain: U128::new(chain),
            count: U32::new(self.records.len() as u32),
            body_bytes: U32::new(body.len() as u32),
            raw_body_bytes: U32::new(raw_body_bytes as u32),
            guards_bytes: U32::new(self.guards.len() as u32),
            header_crc32c: U32::ZERO,
            reserved: U32::ZERO,
        };
        let size = FIXED_BYTES
            + self.tags.len() * 8
            + self.guards.len()
            + ORDER_BYTES
            + body.len()
            + CRC_BYTES;
        let mut out = BytesMut::with_capacity(size);
        out.put_slice(fixed.as_bytes());
        if let Some(order) = self.order {
            [order.shard, order.term, order.n]
                .into_iter()
                .for_each(|part| out.put_u64_le(part));
        }
        self.tags.iter().for_each(|tag| out.put_u64_le(tag.0));
        out.put_slice(&self.guards);
        let crc = header_crc(&out);
        out[HEADER_CRC_AT..HEADER_CRC_AT + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        out.put_slice(body);
        out.put_u32_le(crc32c(body));
        out
    }
}

impl Frame {
    /// Reads one frame that fills `bytes` exactly; both checksums are verified.
    pub fn parse(bytes: Bytes) -> Result<Frame, FrameError> {
        let (fixed, _) = FixedHeader::read_from_prefix(&bytes).map_err(|_| FrameError::Short)?;
        let body = fixed.body_range()?;
        if bytes.len() < body.end + CRC_BYTES {
            return Err(FrameError::Short);
        }
        if bytes.len() > body.end + CRC_BYTES {
            return Err(FrameError::Bounds);
        }
        if header_crc(&bytes[..body.start]) != fixed.header_crc32c.get() {
            return Err(FrameError::HeaderChecksum);
        }
        let stored = [0, 1, 2, 3].map(|i| bytes[body.end + i]);
        if crc32c(&bytes[body.clone()]) != u32::from_le_bytes(stored) {
            return Err(FrameError::BodyChecksum);
        }
        let chain_after = chain_after(fixed.chain.get(), &bytes[..body.start], stored);
        Ok(Frame {
            header: fixed.header(&bytes, body.start),
            raw_body_bytes: fixed.raw_body_bytes.get() as usize,
            compressed: fixed.flags & FLAG_ZSTD != 0,
            bytes,
            body,
            chain_after,
        })
    }

    /// The idx after the last record.
    pub fn end_idx(&self) -> u64 {
        self.header.first_idx + u64::from(self.header.count)
    }

    /// The lane's chain after this frame.
    pub fn chain_after(&self) -> u128 {
        self.chain_after
    }

    /// As stored and sent.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same records with another place, in another lane: its bytes are others from the lane on (LOG-A4).
    pub fn moved(&self, lane: u64, first_idx: u64, chain: u128) -> Frame {
        let mut bytes = BytesMut::from(self.bytes.as_ref());
        bytes[LANE_AT].copy_from_slice(&lane.to_le_bytes());
        bytes[FIRST_IDX_AT].copy_from_slice(&first_idx.to_le_bytes());
        bytes[CHAIN_AT].copy_from_slice(&chain.to_le_bytes());
        let crc = header_crc(&bytes[..self.body.start]);
        bytes[HEADER_CRC_AT..HEADER_CRC_AT + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        Frame::parse(bytes.freeze()).expect("only its place is new")
    }

    /// The encoded records, `header.count` of them. Shares the frame's bytes unless the body is compressed.
    pub fn records(&self) -> Result<Vec<Bytes>, FrameError> {
        let body = self.bytes.slice(self.body.clone());
        let mut rest = if self.compressed {
            decompress(&body, self.raw_body_bytes)?
        } else {
            body
        };
        let mut records = Vec::with_capacity(self.header.count as usize);
        while !rest.is_empty() {
            let (length, _) = U32::read_from_prefix(&rest).map_err(|_| FrameError::Body)?;
            let length = length.get() as usize;
            if length > RECORD_BYTES_MAX || rest.len() < LENGTH_BYTES + length {
                return Err(FrameError::Body);
            }
            records.push(rest.slice(LENGTH_BYTES..LENGTH_BYTES + length));
            rest = rest.slice(LENGTH_BYTES + length..);
        }
        if records.len() != self.header.count as usize {
            return Err(FrameError::Body);
        }
        Ok(records)
    }
}

impl FixedHeader {
    /// Where the body lies, after every length has been checked against its bound.
    fn body_range(&self) -> Result<std::ops::Range<usize>, FrameError> {
        if self.magic != MAGIC {
            return Err(FrameError::Magic);
        }
        if self.version != VERSION || self.flags & !FLAGS_KNOWN != 0 || self.reserved.get() != 0 {
            return Err(FrameError::Unknown);
        }
        let tags = usize::from(self.tag_count.get());
        let guards = self.guards_bytes.get() as usize;
        let body = self.body_bytes.get() as usize;
        let in_bounds = (1..=FRAME_RECORDS_MAX).contains(&(self.count.get() as usize))
            && tags <= FRAME_TAGS_MAX
            && guards <= FRAME_GUARDS_BYTES_MAX
            && body <= RAW_BODY_MAX
            && self.raw_body_bytes.get() as usize <= RAW_BODY_MAX
            && self
                .first_idx
                .get()
                .checked_add(u64::from(self.count.get()))
                .is_some();
        if !in_bounds {
            return Err(FrameError::Bounds);
        }
        let start = FIXED_BYTES + self.order_bytes() + tags * 8 + guards;
        Ok(start..start + body)
    }

    fn order_bytes(&self) -> usize {
        if self.flags & FLAG_ORDER != 0 {
            ORDER_BYTES
        } else {
            0
        }
    }

    /// `bytes` is at least as long as `body_start`, which [`FixedHeader::body_range`] gave.
    fn header(&self, bytes: &Bytes, body_start: usize) -> FrameHeader {
        let word =
            |at: usize| U64::read_from_prefix(&bytes[at..]).map_or(0, |(word, _)| word.get());
        let tags_at = FIXED_BYTES + self.order_bytes();
        let guards_at = tags_at + usize::from(self.tag_count.get()) * 8;
        let order = (self.flags & FLAG_ORDER != 0).then(|| Order {
            shard: word(FIXED_BYTES),
            term: word(FIXED_BYTES + 8),
            n: word(FIXED_BYTES + 16),
        });
        FrameHeader {
            lane: self.lane.get(),
            first_idx: self.first_idx.get(),
            count: self.count.get(),
            chain: self.chain.get(),
            tags: (tags_at..guards_at)
                .step_by(8)
                .map(|at| Tag(word(at)))
                .collect(),
            guards: bytes.slice(guards_at..body_start),
            order,
            privileged: self.flags & FLAG_PRIVILEGED != 0,
        }
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// Over everything before the body but the checksum itself and what follows it in the fixed header.
fn header_crc(before_body: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&before_body[..HEADER_CRC_AT]);
    digest.update(&before_body[FIXED_BYTES..]);
    digest.finalize() as u32
}

/// chain' = xxh3_128(chain, header without chain and crc32c, body crc).
fn chain_after(chain: u128, before_body: &[u8], body_crc: [u8; 4]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&chain.to_le_bytes());
    hash.update(&before_body[..CHAIN_AT.start]);
    hash.update(&before_body[CHAIN_AT.end..HEADER_CRC_AT]);
    hash.update(&before_body[FIXED_BYTES..]);
    hash.update(&body_crc);
    hash.digest128()
}

/// The body as stored, and whether it is compressed: only if that saves at least an eighth.
fn compress(raw: BytesMut) -> (Bytes, bool) {
    if raw.len() >= COMPRESS_FROM_BYTES
        && let Some(smaller) = contexts::compress(&raw)
        && smaller.len() <= raw.len() - raw.len() / 8
    {
        return (smaller.into(), true);
    }
    (raw.freeze(), false)
}

fn decompress(body: &[u8], raw_body_bytes: usize) -> Result<Bytes, FrameError> {
    let raw = contexts::decompress(body, raw_body_bytes).ok_or(FrameError::Body)?;
    if raw.len() == raw_body_bytes {
        Ok(raw.into())
    } else {
        Err(FrameError::Body)
    }
}
