//! CRC-32/ISCSI (Castagnoli): of bytes at once, of bytes as they come, and of two checksums combined.

use crc_fast::{CrcAlgorithm, Digest};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(ALGORITHM, bytes) as u32
}

/// The checksum of two runs of bytes, one after the other, from theirs.
pub fn combine(first: u32, second: u32, second_bytes: u64) -> u32 {
    crc_fast::checksum_combine(ALGORITHM, first.into(), second.into(), second_bytes) as u32
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
