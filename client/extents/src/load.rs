//! One piece of an extent from one member, every byte of it checked (R1).

use bytes::Bytes;
use dfs_rpc::trace::{Span, Who};
use dfs_wire::{Code, Refusal, limits, v1};
use futures::StreamExt;

use crate::checksum::{combine, combine_block, crc32c};
use crate::extents::Shared;

/// A part of an extent: `length` bytes from `offset`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) extent: v1::ExtentRef,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

impl Piece {
    pub(crate) fn name(&self) -> String {
        let id = self.extent.extent.unwrap_or_default();
        format!(
            "extent {}/{} of group {}",
            id.session, id.counter, self.extent.group
        )
    }

    fn corrupt(&self, unit_id: u64, why: &str) -> Refusal {
        Refusal::new(Code::Corrupt, self.name(), format!("unit {unit_id}: {why}"))
    }
}

/// Exactly the bytes of `piece`, from this member.
pub(crate) async fn load_from(
    shared: &Shared,
    member: &v1::UnitRef,
    piece: &Piece,
) -> Result<Vec<Bytes>, Refusal> {
    let span = Span::here(&shared.env, "extents.load", Who::CLIENT)
        .with("unit", member.unit_id)
        .with("group", piece.extent.group)
        .with("bytes", piece.length);
    span.waits_for(|| format!("unit {}", member.unit_id));
    span.covers(load_at(shared, member, piece)).await
}

async fn load_at(
    shared: &Shared,
    member: &v1::UnitRef,
    piece: &Piece,
) -> Result<Vec<Bytes>, Refusal> {
    let _busy = shared.health.begin(member.unit_id);
    let request = v1::LoadRequest {
        unit_id: member.unit_id,
        extent: piece.extent.extent,
        offset: piece.offset,
        length: piece.length,
    };
    let begun = async { shared.unit(member).await?.load(request).await };
    let mut parts = within(shared, piece, begun).await??;
    let mut checked = Checked::new(piece, member.unit_id);
    while !checked.is_complete() {
        match within(shared, piece, parts.next()).await? {
            Some(part) => checked.take(part?)?,
            None => {
                let why = format!("unit {} ended its answer early", member.unit_id);
                return Err(Refusal::new(Code::Unavailable, piece.name(), why));
            }
        }
    }
    Ok(checked.bytes)
}

async fn within<F: Future>(shared: &Shared, piece: &Piece, f: F) -> Result<F::Output, Refusal> {
    let waited = shared.env.timeout(shared.config.part_timeout, f).await;
    waited.map_err(|_| Refusal::new(Code::Unavailable, piece.name(), "a unit does not answer"))
}

/// The answer as it comes: first the checksums of all blocks, then blocks.
struct Checked<'a> {
    piece: &'a Piece,
    unit_id: u64,
    header: Option<v1::LoadHeader>,
    /// Offset in the extent of the next byte to come.
    at: u64,
    bytes: Vec<Bytes>,
}

impl<'a> Checked<'a> {
    fn new(piece: &'a Piece, unit_id: u64) -> Self {
        Checked {
            piece,
            unit_id,
            header: None,
            at: 0,
            bytes: Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.header.is_some() && self.at >= self.end()
    }

    fn end(&self) -> u64 {
        u64::from(self.piece.offset) + u64::from(self.piece.length)
    }

    fn take(&mut self, part: v1::LoadPart) -> Result<(), Refusal> {
        match part.part {
            Some(v1::load_part::Part::Header(header)) if self.header.is_none() => {
                self.check_header(&header)?;
                self.at = header.data_offset.into();
                self.header = Some(header);
                Ok(())
            }
            Some(v1::load_part::Part::Data(data)) if self.header.is_some() => self.take_data(data),
            _ => Err(self.piece.corrupt(self.unit_id, "parts out of order")),
        }
    }

    fn check_header(&self, header: &v1::LoadHeader) -> Result<(), Refusal> {
        let extent = &self.piece.extent;
        let corrupt = |why| Err(self.piece.corrupt(self.unit_id, why));
        let block = header.block_bytes;
        if header.extent_length != extent.stored_length {
            return corrupt("the extent has another length than the record says");
        }
        let blocks = header.block_crc32c.len() as u32;
        if !(512..=limits::PART_BYTES_MAX as u32).contains(&block)
            || blocks != extent.stored_length.div_ceil(block)
        {
            return corrupt("another number of blocks than the length asks for");
        }
        if !header.data_offset.is_multiple_of(block) || header.data_offset > self.piece.offset {
            return corrupt("the answer begins at another place than asked for");
        }
        let mut all = 0;
        for (index, crc) in (0u32..).zip(&header.block_crc32c) {
            let bytes = block.min(extent.stored_length - index * block);
            all = match bytes as usize {
                limits::BLOCK_BYTES => combine_block(all, *crc),
                _ => combine(all, *crc, bytes.into()),
            };
        }
        if all != extent.crc32c {
            return corrupt("its checksums do not give the one in the file's record");
        }
        Ok(())
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), Refusal> {
        let corrupt = |why| Err(self.piece.corrupt(self.unit_id, why));
        let Some(header) = &self.header else {
            return corrupt("data before its header");
        };
        let block = u64::from(header.block_bytes);
        if !self.at.is_multiple_of(block) || data.is_empty() {
            return corrupt("a part is not made of whole blocks");
        }
        let length = u64::from(header.extent_length);
        let first = (self.at / block) as usize;
        for (index, bytes) in (first..).zip(data.chunks(block as usize)) {
            let whole = (index as u64 * block + bytes.len() as u64).min(length);
            let expected = block.min(length.saturating_sub(index as u64 * block));
            if bytes.len() as u64 != expected || whole > length {
                return corrupt("a part is not made of whole blocks");
            }
            if header.block_crc32c.get(index).copied() != Some(crc32c(bytes)) {
                return corrupt("a block does not have its checksum");
            }
        }
        let from = u64::from(self.piece.offset)
            .saturating_sub(self.at)
            .min(data.len() as u64);
        let to = self.end().saturating_sub(self.at).min(data.len() as u64);
        self.at += data.len() as u64;
        if from < to {
            self.bytes.push(data.slice(from as usize..to as usize));
        }
        Ok(())
    }
}
