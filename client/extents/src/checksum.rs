//! CRC-32/ISCSI (Castagnoli): of bytes at once, of bytes as they come, and of two checksums combined.

use std::sync::OnceLock;

use crc_fast::{CrcAlgorithm, Digest};
use dfs_wire::limits;

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(ALGORITHM, bytes) as u32
}

/// The checksum of two runs of bytes, one after the other, from theirs.
pub fn combine(first: u32, second: u32, second_bytes: u64) -> u32 {
    crc_fast::checksum_combine(ALGORITHM, first.into(), second.into(), second_bytes) as u32
}

/// [`combine`] with a second run of exactly one block, as a table: 128 of them are made to check one
/// extent, and each costs 26 µs without it.
pub(crate) fn combine_block(first: u32, second: u32) -> u32 {
    static COLUMNS: OnceLock<[u32; 32]> = OnceLock::new();
    // Moving a checksum past a block is linear in its bits.
    let columns = COLUMNS.get_or_init(|| {
        std::array::from_fn(|bit| combine(1 << bit, 0, limits::BLOCK_BYTES as u64))
    });
    let moved = columns.iter().enumerate().fold(0, |sum, (bit, column)| {
        sum ^ (column & 0u32.wrapping_sub((first >> bit) & 1))
    });
    moved ^ second
}

/// A checksum of bytes that come one after the other.
#[derive(Clone)]
pub struct Crc32c(Digest);

impl Default for Crc32c {
    fn default() -> Self {
        Crc32c(Digest::new(ALGORITHM))
    }
}

impl Crc32c {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far.
    pub fn value(&self) -> u32 {
        self.0.finalize() as u32
    }
}

impl std::fmt::Debug for Crc32c {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crc32c({:08x})", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn the_published_values() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn a_block_combines_by_table_as_without() {
        let mut first = 0x1234_5678u32;
        for second in [0, 1, 0xffff_ffff, 0xdead_beef] {
            for _ in 0..100 {
                first = first.rotate_left(5).wrapping_mul(0x9e37_79b9) ^ second;
                let whole = combine(first, second, limits::BLOCK_BYTES as u64);
                assert_eq!(combine_block(first, second), whole);
            }
        }
    }

    #[test]
    fn combined_and_running_equal_the_whole() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        for cut in [0, 1, 63, 65_536, 199_999, 200_000] {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(
                combine(crc32c(a), crc32c(b), b.len() as u64),
                crc32c(&bytes)
            );
            let mut running = Crc32c::default();
            running.update(a);
            running.update(b);
            assert_eq!(running.value(), crc32c(&bytes));
        }
    }
}
