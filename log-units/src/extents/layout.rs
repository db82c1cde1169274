//! The layout of extent files, little-endian; FORMAT.md says the same in words and a test compares them.
//!
//! A file is one block of [`FileHeader`] and [`Mark`], then extents, each at a multiple of [`ALIGN_BYTES`]:
//! [`Begin`], data, the CRC-32 of each 64 KiB block of the data, [`End`].

use bytes::{Bytes, BytesMut};
use dfs_wire::frame::crc32c;
use dfs_wire::limits::{BLOCK_BYTES, EXTENT_BYTES_MAX};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Extents begin at multiples of this: whole pages, so that a dead one can be punched out.
pub(crate) const ALIGN_BYTES: u64 = 4096;
/// Where the mark lies in a file: in a sector of its own, because it is rewritten in place.
pub(crate) const MARK_AT: u64 = 512;
pub(crate) const VERSION: u16 = 1;
const FILE_MAGIC: [u8; 4] = *b"dfsX";
const MARK_MAGIC: [u8; 4] = *b"dfsM";
pub(crate) const BEGIN_MAGIC: [u8; 4] = *b"dfsB";
const END_MAGIC: [u8; 4] = *b"dfsE";
/// An extent lies here, or was begun.
pub(crate) const KIND_EXTENT: u16 = 1;
/// Nothing lies here: a store was given up, or a crash tore it.
pub(crate) const KIND_VOID: u16 = 2;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FileHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U16,
    pub(crate) reserved: U16,
    /// Random, in every header of the file: bytes of a client cannot pass for one.
    pub(crate) file_nonce: U64,
    pub(crate) file_no: U32,
    pub(crate) crc32c: U32,
}
const _: () = assert!(size_of::<FileHeader>() == 24);

/// How far the file was known to be finished and synced when this was written.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Mark {
    pub(crate) magic: [u8; 4],
    pub(crate) crc32c: U32,
    pub(crate) file_nonce: U64,
    pub(crate) synced_through: U64,
}
const _: () = assert!(size_of::<Mark>() == 24);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Begin {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U16,
    pub(crate) kind: U16,
    pub(crate) file_nonce: U64,
    /// Of this header in the file.
    pub(crate) offset: U64,
    /// As in [`Mark`].
    pub(crate) synced_through: U64,
    pub(crate) session: U64,
    pub(crate) counter: U64,
    pub(crate) group: U64,
    /// Of the data; of a void, everything behind this header.
    pub(crate) length: U32,
    pub(crate) crc32c: U32,
}
pub(crate) const BEGIN_BYTES: u64 = 64;
const _: () = assert!(size_of::<Begin>() as u64 == BEGIN_BYTES);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct End {
    pub(crate) magic: [u8; 4],
    pub(crate) length: U32,
    pub(crate) file_nonce: U64,
    pub(crate) offset: U64,
    pub(crate) session: U64,
    pub(crate) counter: U64,
    /// Of all data.
    pub(crate) data_crc32c: U32,
    /// Of the block checksums and this struct up to here.
    pub(crate) crc32c: U32,
}
pub(crate) const END_BYTES: u64 = 48;
const _: () = assert!(size_of::<End>() as u64 == END_BYTES);

/// Where an extent lies and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) file_nonce: u64,
    pub(crate) offset: u64,
    pub(crate) session: u64,
    pub(crate) counter: u64,
    pub(crate) group: u64,
    pub(crate) length: u32,
}

pub(crate) fn blocks_of(length: u32) -> usize {
    (length as usize).div_ceil(BLOCK_BYTES)
}

/// From the begin of an extent to the begin of the next.
pub(crate) fn span_bytes(length: u32) -> u64 {
    let tail = blocks_of(length) as u64 * 4 + END_BYTES;
    (BEGIN_BYTES + u64::from(length) + tail).next_multiple_of(ALIGN_BYTES)
}

/// Checksum of a struct whose last four bytes hold it.
fn crc_of(bytes: &[u8]) -> u32 {
    crc32c(&bytes[..bytes.len() - 4])
}

pub(crate) fn encode_file_header(file_nonce: u64, file_no: u32) -> Bytes {
    let mut header = FileHeader {
        magic: FILE_MAGIC,
        version: VERSION.into(),
        reserved: U16::ZERO,
        file_nonce: file_nonce.into(),
        file_no: file_no.into(),
        crc32c: U32::ZERO,
    };
    header.crc32c = crc_of(header.as_bytes()).into();
    let mut block = BytesMut::zeroed(ALIGN_BYTES as usize);
    block[..size_of::<FileHeader>()].copy_from_slice(header.as_bytes());
    block.freeze()
}

/// The nonce of file `file_no`, if its header is intact.
pub(crate) fn decode_file_header(bytes: &[u8], file_no: u32) -> Option<u64> {
    let (header, _) = FileHeader::read_from_prefix(bytes).ok()?;
    let intact = header.magic == FILE_MAGIC
        && header.version.get() == VERSION
        && header.file_no.get() == file_no
        && header.crc32c.get() == crc_of(header.as_bytes());
    intact.then_some(header.file_nonce.get())
}

pub(crate) fn encode_mark(file_nonce: u64, synced_through: u64) -> Bytes {
    let mut mark = Mark {
        magic: MARK_MAGIC,
        crc32c: U32::ZERO,
        file_nonce: file_nonce.into(),
        synced_through: synced_through.into(),
    };
    mark.crc32c = crc32c(&mark.as_bytes()[8..]).into();
    Bytes::copy_from_slice(mark.as_bytes())
}

pub(crate) fn decode_mark(bytes: &[u8], file_nonce: u64) -> Option<u64> {
    let (mark, _) = Mark::read_from_prefix(bytes).ok()?;
    let intact = mark.magic == MARK_MAGIC
        && mark.file_nonce.get() == file_nonce
        && mark.crc32c.get() == crc32c(&mark.as_bytes()[8..]);
    intact.then_some(mark.synced_through.get())
}

pub(crate) fn encode_begin(placed: &Placed, kind: u16, synced_through: u64) -> Bytes {
    let mut begin = Begin {
        magic: BEGIN_MAGIC,
        version: VERSION.into(),
        kind: kind.into(),
        file_nonce: placed.file_nonce.into(),
        offset: placed.offset.into(),
        synced_through: synced_through.into(),
        session: placed.session.into(),
        counter: placed.counter.into(),
        group: placed.group.into(),
        length: placed.length.into(),
        crc32c: U32::ZERO,
    };
    begin.crc32c = crc_of(begin.as_bytes()).into();
    Bytes::copy_from_slice(begin.as_bytes())
}

/// The header at `offset` of the file with `file_nonce`, if there is an intact one.
pub(crate) fn decode_begin(bytes: &[u8], file_nonce: u64, offset: u64) -> Option<Begin> {
    let (begin, _) = Begin::read_from_prefix(bytes).ok()?;
    let intact = begin.magic == BEGIN_MAGIC
        && begin.version.get() == VERSION
        && matches!(begin.kind.get(), KIND_EXTENT | KIND_VOID)
        && begin.file_nonce.get() == file_nonce
        && begin.offset.get() == offset
        && (begin.kind.get() == KIND_VOID || begin.length.get() as usize <= EXTENT_BYTES_MAX)
        && begin.crc32c.get() == crc_of(begin.as_bytes());
    intact.then_some(begin)
}

impl Begin {
    pub(crate) fn placed(&self) -> Placed {
        Placed {
            file_nonce: self.file_nonce.get(),
            offset: self.offset.get(),
            session: self.session.get(),
            counter: self.counter.get(),
            group: self.group.get(),
            length: self.length.get(),
        }
    }

    pub(crate) fn is_void(&self) -> bool {
        self.kind.get() == KIND_VOID
    }

    pub(crate) fn span_bytes(&self) -> u64 {
        if self.is_void() {
            return (BEGIN_BYTES + u64::from(self.length.get())).next_multiple_of(ALIGN_BYTES);
        }
        span_bytes(self.length.get())
    }
}

/// Block checksums and [`End`], to follow the data.
pub(crate) fn encode_tail(placed: &Placed, blocks: &[u32], data_crc32c: u32) -> Bytes {
    let mut tail = BytesMut::with_capacity(blocks.len() * 4 + END_BYTES as usize);
    blocks
        .iter()
        .for_each(|crc| tail.extend_from_slice(&crc.to_le_bytes()));
    let end = End {
        magic: END_MAGIC,
        length: placed.length.into(),
        file_nonce: placed.file_nonce.into(),
        offset: placed.offset.into(),
        session: placed.session.into(),
        counter: placed.counter.into(),
        data_crc32c: data_crc32c.into(),
        crc32c: U32::ZERO,
    };
    tail.extend_from_slice(end.as_bytes());
    let crc = crc_of(&tail);
    let at = tail.len() - 4;
    tail[at..].copy_from_slice(&crc.to_le_bytes());
    tail.freeze()
}

/// Block checksums and the checksum of all data, if the tail is intact and belongs to `placed`.
pub(crate) fn decode_tail(bytes: &[u8], placed: &Placed) -> Option<(Vec<u32>, u32)> {
    let table_bytes = blocks_of(placed.length) * 4;
    let bytes = bytes.get(..table_bytes + END_BYTES as usize)?;
    let (end, _) = End::read_from_prefix(bytes.get(table_bytes..)?).ok()?;
    let intact = end.magic == END_MAGIC
        && end.length.get() == placed.length
        && end.file_nonce.get() == placed.file_nonce
        && end.offset.get() == placed.offset
        && (end.session.get(), end.counter.get()) == (placed.session, placed.counter)
        && end.crc32c.get() == crc_of(bytes);
    let table = bytes[..table_bytes].chunks_exact(4);
    let blocks = table.map(|crc| u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]));
    intact.then(|| (blocks.collect(), end.data_crc32c.get()))
}
