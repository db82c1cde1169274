//! A frame without its body: enough to carry a lane's chain over it.
use super::{CRC_BYTES, FixedHeader, Frame, FrameError, chain_after, header_crc};
use bytes::{BufMut, Bytes, BytesMut};
use zerocopy::FromBytes;

/// What the head of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    pub lane: u64,
    pub first_idx: u64,
    pub count: u32,
    /// The lane's chain before the frame, and after it.
    pub chain: u128,
    pub chain_after: u128,
    /// Of the whole frame.
    pub frame_bytes: usize,
}

impl Frame {
    /// Everything before the body, then the body's checksum.
    pub fn head(&self) -> Bytes {
        let mut head = BytesMut::with_capacity(self.body.start + CRC_BYTES);
        head.put_slice(&self.bytes[..self.body.start]);
        head.put_slice(&self.bytes[self.body.end..]);
        head.freeze()
    }
}

impl FrameHead {
    /// Reads one head that fills `bytes` exactly. What it says of the body is believed: whoever has
    /// carried a chain over heads to a known end knows that no other body fits.
    pub fn parse(bytes: &[u8]) -> Result<FrameHead, FrameError> {
        let (fixed, _) = FixedHeader::read_from_prefix(bytes).map_err(|_| FrameError::Short)?;
        let body = fixed.body_range()?;
        if bytes.len() < body.start + CRC_BYTES {
            return Err(FrameError::Short);
        }
        if bytes.len() > body.start + CRC_BYTES {
            return Err(FrameError::Bounds);
        }
        let (head, crc) = bytes.split_at(body.start);
        if header_crc(head) != fixed.header_crc32c.get() {
            return Err(FrameError::HeaderChecksum);
        }
        let stored = [0, 1, 2, 3].map(|i| crc[i]);
        Ok(FrameHead {
            lane: fixed.lane.get(),
            first_idx: fixed.first_idx.get(),
            count: fixed.count.get(),
            chain: fixed.chain.get(),
            chain_after: chain_after(fixed.chain.get(), head, stored),
            frame_bytes: body.end + CRC_BYTES,
        })
    }

    /// The idx after the last record.
    pub fn end_idx(&self) -> u64 {
        self.first_idx + u64::from(self.count)
    }
}
