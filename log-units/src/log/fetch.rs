//! What another unit lacks: frames of a lane, or stamps of a stripe, of those that are held for sure.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use dfs_rpc::roles::Answers;
use dfs_wire::v1::fetch_request::Wanted;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};

use crate::log::ledger::Ledger;
use crate::log::read::{Lack, read_back};
use crate::unit::lane::Held;

/// One answer: several disks' reads, a small part of a message.
const BATCH_BYTES: usize = 1 << 20;
/// Frames looked up while the state is locked.
const FRAMES_LOOKED_UP: usize = 2048;

pub(crate) fn fetch(
    ledger: &Arc<Ledger>,
    request: v1::FetchRequest,
) -> Result<Answers<v1::FetchBatch>, Refusal> {
    match request.wanted {
        Some(Wanted::Frames(wanted)) => Ok(frames(ledger, wanted)),
        Some(Wanted::Stamps(wanted)) => {
            let batch = stamps(ledger, &wanted)?;
            Ok(stream::iter([Ok(batch)]).boxed())
        }
        None => Err(Refusal::new(Code::Invalid, "fetch", "it wants nothing")),
    }
}

fn stamps(ledger: &Ledger, wanted: &v1::FetchStamps) -> Result<v1::FetchBatch, Refusal> {
    let state = ledger.state.lock();
    let given = state.give_runs(wanted.stripe, &(wanted.from_lsn..wanted.end_lsn));
    let Some(given) = given else {
        let what = format!("stamps of stripe {}", wanted.stripe);
        let why = format!("this unit has none of LSN {}", wanted.from_lsn);
        return Err(Refusal::new(Code::Absent, what, why).at(wanted.from_lsn));
    };
    Ok(v1::FetchBatch {
        runs: given.runs,
        known_until_lsn: given.known_until_lsn,
        ..Default::default()
    })
}

struct Giving {
    ledger: Arc<Ledger>,
    wanted: v1::FetchFrames,
    next_idx: u64,
    looked_up: VecDeque<Held>,
    /// Beyond those looked up.
    bytes_left: u64,
    refusal: Option<Refusal>,
    ended: bool,
}

fn frames(ledger: &Arc<Ledger>, wanted: v1::FetchFrames) -> Answers<v1::FetchBatch> {
    let giving = Giving {
        ledger: ledger.clone(),
        next_idx: wanted.first_idx,
        wanted,
        looked_up: VecDeque::new(),
        bytes_left: 0,
        refusal: None,
        ended: false,
    };
    let batches = stream::unfold(giving, |mut giving| async move {
        let next = giving.next().await?;
        Some((next, giving))
    });
    batches.boxed()
}

impl Giving {
    async fn next(&mut self) -> Option<Result<v1::FetchBatch, Refusal>> {
        if self.ended || self.ledger.is_stopping() {
            return None;
        }
        let (given, bytes) = match self.refusal.take() {
            Some(refusal) => {
                self.ended = true;
                return Some(Err(refusal));
            }
            None => self.gather().await,
        };
        if given.is_empty() {
            self.ended = true;
            return self.refusal.take().map(Err);
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let mut batch = v1::FetchBatch {
            bytes_left: self.bytes_left,
            ..Default::default()
        };
        match self.wanted.heads_only {
            true => batch.heads = given,
            false => batch.frames = given,
        }
        Some(Ok(batch))
    }

    /// The next frames or heads, and the bytes of the frames. What stops it is said after them.
    async fn gather(&mut self) -> (Vec<Bytes>, u64) {
        let (mut given, mut given_bytes, mut frame_bytes) = (Vec::new(), 0, 0);
        while given_bytes < BATCH_BYTES {
            if self.looked_up.is_empty()
                && let Err(refusal) = self.look_up()
            {
                self.refusal = Some(refusal);
                break;
            }
            let Some(held) = self.looked_up.pop_front() else {
                break;
            };
            let lane = self.wanted.lane;
            match read_back(&self.ledger, lane, &held).await {
                Ok(frame) => {
                    let bytes = match self.wanted.heads_only {
                        true => frame.head(),
                        false => frame.bytes().clone(),
                    };
                    given_bytes += bytes.len();
                    frame_bytes += frame.bytes().len() as u64;
                    self.next_idx = held.end_idx();
                    given.push(bytes);
                }
                Err(lack) => {
                    let (code, why) = match lack {
                        Lack::SetAside => (Code::NotYet, "it was set aside"),
                        Lack::Trimmed => (Code::Trimmed, "it was trimmed"),
                        Lack::Damaged => (Code::Corrupt, "it is damaged here, too"),
                    };
                    self.refusal = Some(self.refused(code, why));
                    break;
                }
            }
        }
        (given, frame_bytes)
    }

    fn look_up(&mut self) -> Result<(), Refusal> {
        let v1::FetchFrames {
            lane: id, end_idx, ..
        } = self.wanted;
        if self.next_idx >= end_idx {
            return Ok(());
        }
        let state = self.ledger.state.lock();
        let Some(lane) = state.lane(id) else {
            return Err(self.refused(Code::NotYet, "this unit was not told of the lane")); // LOG-U5
        };
        if self.next_idx < lane.begin_idx() {
            return Err(self.refused(Code::Trimmed, "it was trimmed"));
        }
        if lane.bad_range(self.next_idx).is_some() {
            return Err(self.refused(Code::Corrupt, "it is damaged here, too"));
        }
        let until = end_idx.min(lane.given_until());
        let found = lane.frames_from(self.next_idx, until);
        let starts_here = found.first().map(Held::first_idx) == Some(self.next_idx);
        if !starts_here {
            let why = "no frame that begins there is cut and held here";
            return Err(self.refused(Code::NotYet, why));
        }
        if self.bytes_left == 0 {
            self.bytes_left = found.iter().map(|held| u64::from(held.len())).sum();
        }
        let looked_up = found.iter().take(FRAMES_LOOKED_UP).copied();
        self.looked_up = looked_up.collect();
        Ok(())
    }

    fn refused(&self, code: Code, why: &str) -> Refusal {
        let what = format!("fetch lane {} from idx {}", self.wanted.lane, self.next_idx);
        Refusal::new(code, what, why)
    }
}
