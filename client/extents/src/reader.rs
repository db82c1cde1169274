//! A range of a file as a stream of bytes, in order, some extents ahead. Holes are zeros, made here.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Task;
use dfs_rpc::trace::carried;
use dfs_wire::v1::UnitState;
use dfs_wire::{Code, Refusal, limits, v1};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::extents::{Extents, Shared};
use crate::load::{Piece, load_from};
use crate::store::stopped;

/// Extents of one file that are loaded ahead: what one member needs to stay busy.
const AHEAD_MAX: usize = 3;
/// A unit that restarts is away for less; holders that are all away for longer are named, not waited for.
const AWAY_MAX: Duration = Duration::from_secs(4);

/// A part of a hole, shared by all readers.
static ZEROS: [u8; limits::BLOCK_BYTES] = [0; limits::BLOCK_BYTES];

impl Extents {
    /// The bytes `range` of the file that `extents` make up, in file order; what lies beyond its
    /// end is left out. After a refusal nothing follows (R2).
    pub fn read(
        &self,
        extents: &[v1::ExtentRef],
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Bytes, Refusal>> {
        let reading = Reading {
            shared: self.shared.clone(),
            pieces: pieces(extents, range),
            coming: VecDeque::new(),
            ready: VecDeque::new(),
            zeros: 0,
        };
        let read = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|bytes| (bytes, reading)))
        });
        read.boxed()
    }
}

/// The pieces of extents that make up `range`.
fn pieces(extents: &[v1::ExtentRef], range: Range<u64>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    let mut at = 0u64;
    for extent in extents {
        let length = u64::from(extent.length);
        let from = range.start.clamp(at, at + length) - at;
        let to = range.end.clamp(at, at + length) - at;
        if from < to {
            pieces.push_back(Piece {
                extent: *extent,
                offset: extent.skip + from as u32,
                length: (to - from) as u32,
            });
        }
        at += length;
    }
    pieces
}

struct Reading {
    shared: Arc<Shared>,
    pieces: VecDeque<Piece>,
    coming: VecDeque<Coming>,
    ready: VecDeque<Bytes>,
    /// Of a hole, after `ready`.
    zeros: u32,
}

enum Coming {
    Loading(Loading),
    /// So many zeros, which nobody stores.
    Hole(u32),
}

struct Loading {
    task: Task<Result<Vec<Bytes>, Refusal>>,
    /// `None` for the piece the reader stands at (R3).
    _ahead: Option<OwnedSemaphorePermit>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            if self.zeros > 0 {
                let bytes = self.zeros.min(ZEROS.len() as u32);
                self.zeros -= bytes;
                return Ok(Some(Bytes::from_static(&ZEROS[..bytes as usize])));
            }
            self.start();
            match self.coming.front_mut() {
                None => return Ok(None),
                Some(Coming::Hole(zeros)) => {
                    self.zeros = *zeros;
                    self.coming.pop_front();
                }
                Some(Coming::Loading(first)) => {
                    let loaded = (&mut first.task).await;
                    self.coming.pop_front();
                    self.ready = loaded.map_err(|_| stopped())??.into();
                }
            }
        }
    }

    fn start(&mut self) {
        while self.coming.len() <= AHEAD_MAX {
            let Some(piece) = self.pieces.front() else {
                return;
            };
            if piece.extent.extent.is_none() {
                self.coming.push_back(Coming::Hole(piece.length));
                self.pieces.pop_front();
                continue;
            }
            let ahead = if self.coming.is_empty() {
                None
            } else {
                match self.shared.try_ahead(piece.length.into()) {
                    Some(permit) => Some(permit),
                    None => return,
                }
            };
            if let Some(piece) = self.pieces.pop_front() {
                let load = carried(load(self.shared.clone(), piece));
                let task = self.shared.env.spawn("load-extent", load);
                self.coming.push_back(Coming::Loading(Loading {
                    task,
                    _ahead: ahead,
                }));
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        for coming in &self.coming {
            if let Coming::Loading(loading) = coming {
                loading.task.abort();
            }
        }
    }
}

/// From whichever member can serve it; `Lost` when every one says that it cannot, or is Dead.
async fn load(shared: Arc<Shared>, piece: Piece) -> Result<Vec<Bytes>, Refusal> {
    let begun = shared.env.now();
    for round in 0.. {
        let unserved = match ask_all(&shared, &piece, round > 0).await {
            Ok(bytes) => return Ok(bytes),
            Err(unserved) => unserved,
        };
        let Unserved { refusal, away } = unserved;
        let waited = shared.env.now().saturating_duration_since(begun);
        // What was kept of the group may be old: only a fresh list can say that it is lost, or away.
        let last = round > 0 && (!refusal.is_retryable() || (away && waited >= AWAY_MAX));
        if last || waited >= shared.config.timeout {
            return Err(refusal);
        }
        shared.pause(round).await;
    }
    Err(stopped())
}

/// Why no member served a piece now.
struct Unserved {
    refusal: Refusal,
    /// Those that may have it are not there at all: asking on means waiting for a person.
    away: bool,
}

impl From<Refusal> for Unserved {
    fn from(refusal: Refusal) -> Unserved {
        Unserved {
            refusal,
            away: false,
        }
    }
}

async fn ask_all(shared: &Shared, piece: &Piece, refresh: bool) -> Result<Vec<Bytes>, Unserved> {
    let holders = shared
        .placement
        .holders(piece.extent.group, refresh)
        .await?;
    let all_listed = holders.units.len() == holders.group.unit_ids.len();
    let (mut gone, mut unserved) = (Vec::new(), Vec::new());
    let (mut last, mut away) = (None, true);
    for member in shared.health.order(holders.units) {
        let id = member.unit_id;
        // LOG-D1: the Dead count for nothing until the same unit says Hello again.
        if refresh && member.state() == UnitState::Dead {
            gone.push(format!("unit {id} is Dead"));
            continue;
        }
        let refusal = match load_from(shared, &member, piece).await {
            Ok(bytes) => return Ok(bytes),
            Err(refusal) => refusal,
        };
        shared.health.failed(id);
        if matches!(refusal.code(), Code::Corrupt) {
            tracing::warn!(unit = id, %refusal, "a copy is damaged");
        }
        if matches!(refusal.code(), Code::Corrupt | Code::Absent | Code::Lost) {
            gone.push(refusal.to_string());
            continue;
        }
        away &= !member.live;
        unserved.push(match member.live {
            true => format!("unit {id}: {}", refusal.get().why),
            false => format!("unit {id} is away"),
        });
        last = Some(refusal);
    }
    Err(match last {
        None if all_listed => Refusal::new(Code::Lost, piece.name(), gone.join("; ")).into(),
        None => {
            let why = format!("a holder has no address; {}", gone.join("; "));
            Refusal::new(Code::Unavailable, piece.name(), why).into()
        }
        Some(last) if last.is_retryable() => {
            gone.splice(0..0, unserved);
            let why = format!("no holder can serve it now: {}", gone.join("; "));
            let refusal = Refusal::new(Code::Unavailable, piece.name(), why);
            let refusal = match away {
                true => refusal.advice("Start these units, then try again"),
                false => refusal,
            };
            Unserved { refusal, away }
        }
        Some(last) => last.into(),
    })
}
