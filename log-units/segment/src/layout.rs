//! What lies on disk: headers of segments, batches and entries. FORMAT.md tells the same in prose.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version of everything in this file.
pub(crate) const VERSION: u16 = 1;

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"dfs-segm";
pub(crate) const BATCH_MAGIC: [u8; 4] = *b"dfsB";

/// The two copies of the segment header, in two pages, so that one bad page cannot hide a segment.
pub(crate) const SEGMENT_HEADER_AT: [u64; 2] = [0, 4096];
/// Where the first batch lies in the file.
pub(crate) const DATA_AT: u64 = 8192;
/// Batches begin at multiples of this, in the file and in the stream.
pub(crate) const BATCH_ALIGN: u64 = 64;
/// Entries begin at multiples of this within the stream.
pub(crate) const ENTRY_ALIGN: usize = 8;

pub(crate) const SEGMENT_HEADER_BYTES: usize = size_of::<SegmentHeader>();
pub(crate) const BATCH_HEADER_BYTES: usize = size_of::<BatchHeader>();
pub(crate) const ENTRY_HEADER_BYTES: usize = size_of::<EntryHeader>();
const _: () = assert!(SEGMENT_HEADER_BYTES == 64);
const _: () = assert!(BATCH_HEADER_BYTES == 64);
const _: () = assert!(ENTRY_HEADER_BYTES == 16);
const _: () = assert!(size_of::<OldEnds>() == 24);
const _: () = assert!(size_of::<IndexRow>() == 16);
const _: () = assert!(DATA_AT.is_multiple_of(BATCH_ALIGN));

/// Segment flag: begins with what was written again from above the mark of `previous`.
pub(crate) const FLAG_REWRITE: u16 = 1;
/// Batch flag: the footer of a closed segment; it takes no room in the stream.
pub(crate) const FLAG_FOOTER: u16 = 1;

/// Entry kind: `OldEnds`.
pub(crate) const KIND_OLD_ENDS: u8 = 255;
/// Its length: a page, so that the end record and the mark after it do not lie in one sector.
pub(crate) const OLD_ENDS_BYTES: usize = 4096;
/// Entry kind: rows of `IndexRow`, in a footer.
pub(crate) const KIND_INDEX: u8 = 254;

/// At 0 and at 4,096 of each segment file; the rest of the two pages is zeros.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U16,
    pub(crate) flags: U16,
    /// Random; tells this use of the file from any other of the same number.
    pub(crate) salt: U32,
    /// From 1, never used again.
    pub(crate) number: U64,
    /// Position of the first batch.
    pub(crate) base: U64,
    /// Number of the segment that holds what lies below `base`; 0 if there is none.
    pub(crate) previous: U64,
    /// Everything below this position has been released.
    pub(crate) kept_from: U64,
    /// Length of the file.
    pub(crate) file_bytes: U64,
    pub(crate) reserved: U32,
    /// crc32c of all before.
    pub(crate) crc: U32,
}

/// Before each batch. A batch is this, the body, and zeros up to the next multiple of 64.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BatchHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U16,
    pub(crate) flags: U16,
    /// Number of the segment.
    pub(crate) segment: U64,
    /// Position of this header.
    pub(crate) offset: U64,
    /// The mark: everything below this position was synced when this was written.
    pub(crate) synced_through: U64,
    /// Salt of the segment.
    pub(crate) salt: U32,
    /// Bytes of the body, without the zeros after it; 0 in a batch that only carries the mark.
    pub(crate) body_bytes: U32,
    pub(crate) body_crc: U32,
    pub(crate) entries: U32,
    pub(crate) reserved: [u8; 12],
    /// crc32c of all before.
    pub(crate) crc: U32,
}

/// Before each entry in a body; the bytes follow, and zeros up to the next multiple of 8.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct EntryHeader {
    /// Bytes of the entry, without this header and the zeros after it.
    pub(crate) len: U32,
    /// crc32c of position (8 bytes), kind (1 byte), `len` (4 bytes) and the bytes.
    pub(crate) crc: U32,
    pub(crate) kind: u8,
    pub(crate) reserved: [u8; 7],
}

/// The front of a `KIND_OLD_ENDS` entry (zeros follow): what segment `completes` begins with is complete, and whatever
/// segment `old` holds at or above `ends_at` is void.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct OldEnds {
    pub(crate) completes: U64,
    pub(crate) old: U64,
    pub(crate) ends_at: U64,
}

/// One entry of a closed segment, in its footer.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexRow {
    pub(crate) position: U64,
    pub(crate) len: U32,
    pub(crate) kind: u8,
    pub(crate) reserved: [u8; 3],
}

/// crc32c (Castagnoli) over several pieces.
pub(crate) fn crc32c<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    pieces.into_iter().for_each(|piece| digest.update(piece));
    digest.finalize() as u32
}

fn crc_of_header(header: &[u8]) -> u32 {
    crc32c([&header[..header.len() - size_of::<U32>()]])
}

/// Bytes that a batch takes in the stream.
pub(crate) fn batch_bytes(body_bytes: usize) -> u64 {
    (BATCH_HEADER_BYTES + body_bytes).next_multiple_of(BATCH_ALIGN as usize) as u64
}

/// Bytes that an entry takes in a body.
pub(crate) fn entry_bytes(len: usize) -> usize {
    (ENTRY_HEADER_BYTES + len).next_multiple_of(ENTRY_ALIGN)
}

/// A segment header of a version that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownVersion(pub(crate) u16);

impl SegmentHeader {
    pub(crate) fn sealed(mut self) -> SegmentHeader {
        (self.magic, self.version) = (SEGMENT_MAGIC, VERSION.into());
        self.crc = crc_of_header(self.as_bytes()).into();
        self
    }

    /// `None` when no segment header lies in these bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<SegmentHeader>, UnknownVersion> {
        let Ok((header, _)) = SegmentHeader::read_from_prefix(bytes) else {
            return Ok(None);
        };
        if header.magic != SEGMENT_MAGIC || header.crc.get() != crc_of_header(header.as_bytes()) {
            return Ok(None);
        }
        match header.version.get() {
            VERSION => Ok(Some(header)),
            version => Err(UnknownVersion(version)),
        }
    }

    pub(crate) fn is_rewrite(&self) -> bool {
        self.flags.get() & FLAG_REWRITE != 0
    }

    /// Where a position of this segment lies in its file.
    pub(crate) fn file_offset(&self, position: u64) -> u64 {
        debug_assert!(position >= self.base.get());
        position - self.base.get() + DATA_AT
    }

    /// The position just above what fits into the file.
    pub(crate) fn limit(&self) -> u64 {
        self.base.get() + self.file_bytes.get().saturating_sub(DATA_AT)
    }
}

impl BatchHeader {
    /// A header for a batch of `segment`, with its checksum.
    pub(crate) fn new(segment: &SegmentHeader, offset: u64, synced_through: u64) -> BatchHeader {
        BatchHeader {
            magic: BATCH_MAGIC,
            version: VERSION.into(),
            flags: 0.into(),
            segment: segment.number,
            offset: offset.into(),
            synced_through: synced_through.into(),
            salt: segment.salt,
            body_bytes: 0.into(),
            body_crc: 0.into(),
            entries: 0.into(),
            reserved: [0; 12],
            crc: 0.into(),
        }
    }

    pub(crate) fn sealed(mut self) -> BatchHeader {
        self.crc = crc_of_header(self.as_bytes()).into();
        self
    }

    /// The header in these bytes, if it is intact and was written for this place of this segment.
    pub(crate) fn decode(
        bytes: &[u8],
        segment: &SegmentHeader,
        offset: u64,
    ) -> Option<BatchHeader> {
        let (header, _) = BatchHeader::read_from_prefix(bytes).ok()?;
        let here = header.magic == BATCH_MAGIC
            && header.segment == segment.number
            && header.salt == segment.salt
            && header.offset.get() == offset;
        let intact = here && header.crc.get() == crc_of_header(header.as_bytes());
        (intact && header.version.get() == VERSION).then_some(header)
    }

    pub(crate) fn is_footer(&self) -> bool {
        self.flags.get() & FLAG_FOOTER != 0
    }

    /// Bytes that this batch takes in the stream.
    pub(crate) fn batch_bytes(&self) -> u64 {
        batch_bytes(self.body_bytes.get() as usize)
    }
}

impl EntryHeader {
    pub(crate) fn new(position: u64, kind: u8, bytes: &[u8]) -> EntryHeader {
        let (len, crc) = (U32::new(bytes.len() as u32), U32::ZERO);
        let mut header = EntryHeader {
            len,
            crc,
            kind,
            reserved: [0; 7],
        };
        header.crc = header.crc_of(position, bytes).into();
        header
    }

    fn crc_of(&self, position: u64, bytes: &[u8]) -> u32 {
        crc32c([
            &position.to_le_bytes()[..],
            &[self.kind],
            self.len.as_bytes(),
            bytes,
        ])
    }

    /// True if `bytes` are what was written at `position` under this header.
    pub(crate) fn is_of(&self, position: u64, bytes: &[u8]) -> bool {
        self.len.get() as usize == bytes.len() && self.crc.get() == self.crc_of(position, bytes)
    }
}
