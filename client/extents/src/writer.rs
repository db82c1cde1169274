//! Cuts a stream of bytes into extents of at most 8 MiB and keeps several of them in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dfs_env::Task;
use dfs_rpc::trace::carried;
use dfs_wire::{Refusal, limits, v1};
use tokio::sync::OwnedSemaphorePermit;

use crate::checksum::{Crc32c, combine};
use crate::extents::{Extents, Shared};
use crate::store::{Cut, stopped, store};

const EXTENT_BYTES: u64 = limits::EXTENT_BYTES_MAX as u64;
/// Extents of one file on their way: enough to hide the latency of a store behind the next ones.
const IN_FLIGHT_MAX: usize = 4;
/// Smaller pieces are joined before they are sent: a message per kilobyte would cost more than the bytes.
const SMALL_BYTES: usize = 64 << 10;

/// Everything of a file's content that its record holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    pub size: u64,
    pub crc32c: u32,
    pub extents: Vec<v1::ExtentRef>,
}

/// One file on its way to units. Dropped before `finish`: what was stored dies with the session.
pub struct Writer {
    shared: Arc<Shared>,
    redundancy: Option<v1::Redundancy>,
    /// Bytes that are announced and not yet reserved.
    announced: u64,
    filling: Option<Filling>,
    in_flight: VecDeque<Task<Result<v1::ExtentRef, Refusal>>>,
    stored: Stored,
}

struct Filling {
    permit: OwnedSemaphorePermit,
    room: u64,
    parts: Vec<Bytes>,
    /// Small pieces, joined.
    tail: BytesMut,
    length: u64,
    crc: Crc32c,
}

impl Extents {
    /// `size`: what is known of the length to come; it need not be right.
    pub fn writer(&self, size: Option<u64>, redundancy: Option<v1::Redundancy>) -> Writer {
        Writer {
            shared: self.shared.clone(),
            redundancy,
            announced: size.unwrap_or(u64::MAX),
            filling: None,
            in_flight: VecDeque::new(),
            stored: Stored::default(),
        }
    }
}

impl Writer {
    /// Takes the next bytes; waits while too much is in flight (W2).
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let mut filling = match self.filling.take() {
                Some(filling) => filling,
                None => self.begin().await?,
            };
            filling.take(&mut bytes);
            if filling.room == 0 {
                self.send(filling).await?;
            } else {
                self.filling = Some(filling);
            }
        }
        Ok(())
    }

    /// Waits until everything is stored.
    pub async fn finish(mut self) -> Result<Stored, Refusal> {
        if let Some(filling) = self.filling.take() {
            self.send(filling).await?;
        }
        while !self.in_flight.is_empty() {
            self.join_first().await?;
        }
        Ok(std::mem::take(&mut self.stored))
    }

    /// Reserves a whole extent before its first byte: a writer that waits for room holds none that
    /// is not already on its way, so writers cannot wait for each other in a circle.
    async fn begin(&mut self) -> Result<Filling, Refusal> {
        let room = match self.announced {
            0 => EXTENT_BYTES, // more came than was announced
            announced => announced.min(EXTENT_BYTES),
        };
        self.announced = self.announced.saturating_sub(room);
        Ok(Filling {
            permit: self.shared.reserve(room).await?,
            room,
            parts: Vec::new(),
            tail: BytesMut::new(),
            length: 0,
            crc: Crc32c::default(),
        })
    }

    async fn send(&mut self, filling: Filling) -> Result<(), Refusal> {
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            self.join_first().await?;
        }
        let (permit, cut) = filling.cut();
        let length = u64::from(cut.length);
        self.stored.crc32c = combine(self.stored.crc32c, cut.crc32c, length);
        self.stored.size += length;
        let storing = carried(store(self.shared.clone(), cut, self.redundancy));
        self.in_flight
            .push_back(self.shared.env.spawn("store-extent", async move {
                let stored = storing.await;
                drop(permit);
                stored
            }));
        Ok(())
    }

    async fn join_first(&mut self) -> Result<(), Refusal> {
        if let Some(first) = self.in_flight.front_mut() {
            let stored = first.await;
            self.in_flight.pop_front();
            self.stored.extents.push(stored.map_err(|_| stopped())??);
        }
        Ok(())
    }
}

impl Filling {
    fn take(&mut self, bytes: &mut Bytes) {
        let piece = bytes.split_to(bytes.len().min(self.room as usize));
        self.crc.update(&piece);
        self.room -= piece.len() as u64;
        self.length += piece.len() as u64;
        if piece.len() < SMALL_BYTES {
            self.tail.extend_from_slice(&piece);
            if self.tail.len() >= SMALL_BYTES {
                self.parts.push(self.tail.split().freeze());
            }
        } else {
            if !self.tail.is_empty() {
                self.parts.push(self.tail.split().freeze());
            }
            self.parts.push(piece);
        }
    }

    fn cut(mut self) -> (OwnedSemaphorePermit, Cut) {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.freeze());
        }
        let cut = Cut {
            parts: self.parts,
            length: self.length as u32,
            crc32c: self.crc.value(),
        };
        (self.permit, cut)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.in_flight.iter().for_each(Task::abort);
    }
}
