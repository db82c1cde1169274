//! Checksums of the blocks of an extent, and of the whole, made in one pass over parts of any size.

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use dfs_wire::frame::crc32c;
use dfs_wire::limits::BLOCK_BYTES;

/// Takes data in any pieces.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Of whole blocks.
    blocks: Vec<u32>,
    block_crc: u32,
    block_len: usize,
    all: u32,
    length: u64,
}

impl Sums {
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = BLOCK_BYTES - self.block_len;
            let (piece, rest) = data.split_at(room.min(data.len()));
            self.block_crc = joined(self.block_crc, self.block_len, crc32c(piece), piece.len());
            self.block_len += piece.len();
            if self.block_len == BLOCK_BYTES {
                self.end_block();
            }
            data = rest;
        }
    }

    fn end_block(&mut self) {
        self.all = joined(
            self.all,
            self.length as usize,
            self.block_crc,
            self.block_len,
        );
        self.length += self.block_len as u64;
        self.blocks.push(self.block_crc);
        (self.block_crc, self.block_len) = (0, 0);
    }

    pub(crate) fn length(&self) -> u64 {
        self.length + self.block_len as u64
    }

    /// The checksum of each block, and of everything.
    pub(crate) fn finish(mut self) -> (Vec<u32>, u32) {
        if self.block_len > 0 {
            self.end_block();
        }
        (self.blocks, self.all)
    }
}

fn joined(first: u32, first_len: usize, second: u32, second_len: usize) -> u32 {
    if first_len == 0 {
        return second;
    }
    let (first, second) = (u64::from(first), u64::from(second));
    crc_fast::checksum_combine(Crc32Iscsi, first, second, second_len as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter() {
        let data: Vec<u8> = (0..3 * BLOCK_BYTES + 1234)
            .map(|i| (i * 31 + i / 7) as u8)
            .collect();
        let blocks: Vec<u32> = data.chunks(BLOCK_BYTES).map(crc32c).collect();
        for size in [1, 4095, BLOCK_BYTES, BLOCK_BYTES + 1, data.len()] {
            let mut sums = Sums::default();
            data.chunks(size).for_each(|piece| sums.update(piece));
            assert_eq!(sums.length(), data.len() as u64);
            assert_eq!(
                sums.finish(),
                (blocks.clone(), crc32c(&data)),
                "pieces of {size}"
            );
        }
    }
}
