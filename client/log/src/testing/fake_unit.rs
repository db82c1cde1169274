//! A log unit of a cluster in memory: lanes of frames, credits, scans.
use std::sync::Arc;

use async_trait::async_trait;
use dfs_rpc::roles::{Answers, LogUnit, Requests};
use dfs_wire::frame::Frame;
use dfs_wire::v1::scan_item::Item;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::fake_cluster::{FakeCluster, Fault, State, away};
use crate::shared_log::wants;

/// Bytes in flight that it allows.
const WINDOW_BYTES: u64 = 256 << 10;
/// Of one answer to a scan.
const ANSWER_BYTES: usize = 64 << 10;

pub(super) struct FakeUnit {
    pub(super) cluster: Arc<FakeCluster>,
    pub(super) id: u64,
}

fn absent<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::new(
        Code::Invalid,
        what,
        "the client's log does not ask for it",
    ))
}

struct Appending {
    cluster: Arc<FakeCluster>,
    id: u64,
    epoch: u64,
    frames: Requests<v1::AppendRequest>,
    versions: watch::Receiver<u64>,
}

struct Scanning {
    cluster: Arc<FakeCluster>,
    request: v1::ScanRequest,
    epoch: u64,
    next: u64,
    versions: watch::Receiver<u64>,
    ended: bool,
}

#[async_trait]
impl LogUnit for FakeUnit {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        let cluster = self.cluster.clone();
        let (epoch, versions) = self.join()?;
        let appending = Appending {
            cluster,
            id: self.id,
            epoch,
            frames,
            versions,
        };
        Ok(stream::unfold(appending, Appending::next).boxed())
    }

    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        let cluster = self.cluster.clone();
        let (epoch, versions) = self.join()?;
        cluster.state.lock().scans += 1;
        let next = request.from_lsn;
        let scanning = Scanning {
            cluster,
            request,
            epoch,
            next,
            versions,
            ended: false,
        };
        Ok(stream::unfold(scanning, Scanning::next).boxed())
    }

    async fn store(&self, _: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        absent("Store")
    }

    async fn load(&self, _: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        absent("Load")
    }

    async fn status(&self, _: v1::UnitStatusRequest) -> Result<v1::UnitStatusAnswer, Refusal> {
        absent("UnitStatus")
    }
}

impl FakeUnit {
    fn join(&self) -> Result<(u64, watch::Receiver<u64>), Refusal> {
        let state = self.cluster.state.lock();
        let unit = &state.units[&self.id];
        if unit.fault == Fault::Down {
            return Err(away("log unit"));
        }
        Ok((unit.epoch, self.cluster.changes.subscribe()))
    }
}

impl Appending {
    async fn next(mut self) -> Option<(Result<v1::CreditBatch, Refusal>, Self)> {
        let request = self.frames.next().await?;
        loop {
            let (fault, epoch) = {
                let state = self.cluster.state.lock();
                (state.units[&self.id].fault, state.units[&self.id].epoch)
            };
            if epoch != self.epoch {
                return None;
            }
            if fault != Fault::Stalled {
                break;
            }
            self.versions.changed().await.ok()?;
        }
        let (id, wall_us) = (self.id, self.cluster.env.wall_us());
        let credit = self.cluster.change(|state| {
            let credit = state.append(id, request);
            state.cut(wall_us);
            credit
        });
        let batch = |credit| v1::CreditBatch {
            credits: vec![credit],
        };
        Some((credit.map(batch), self))
    }
}

impl State {
    fn append(&mut self, id: u64, request: v1::AppendRequest) -> Result<v1::Credit, Refusal> {
        assert_eq!(request.unit_id, id);
        let unknown_lane = !self.lanes.contains_key(&request.lane);
        let sealed = self.lanes.get(&request.lane).filter(|lane| lane.sealed);
        let final_length = sealed.map_or(u64::MAX, |lane| lane.length);
        let unit = self.units.get_mut(&id).expect("a unit of this cluster");
        let full = unit.fault == Fault::Full;
        let lane = unit.frames.entry(request.lane).or_default();
        let end = |lane: &Vec<Frame>| lane.last().map_or(0, Frame::end_idx);
        let gap = request.first_idx > end(lane);
        for bytes in request.frames {
            let frame = Frame::parse(bytes).expect("the client sends whole frames");
            if frame.end_idx() > final_length {
                return Err(Refusal::new(Code::State, "frame", "the lane is sealed"));
            }
            let is_next = frame.header.first_idx == end(lane);
            let first_idx = frame.header.first_idx;
            if let Ok(at) = lane.binary_search_by_key(&first_idx, |held| held.header.first_idx) {
                assert_eq!(lane[at].bytes(), frame.bytes(), "LOG-I1");
            }
            if is_next && !unknown_lane && (!full || frame.header.privileged) {
                lane.push(frame);
            }
        }
        Ok(v1::Credit {
            lane: request.lane,
            staged_idx: end(lane),
            durable_idx: end(lane),
            window_bytes: WINDOW_BYTES,
            full,
            unknown_lane,
            gap: gap && !unknown_lane,
        })
    }

    /// The items from `next` on that this unit can answer now, and what follows them.
    fn scan(&self, request: &v1::ScanRequest, next: u64) -> (Vec<v1::ScanItem>, u64) {
        let (unit, tags) = (&self.units[&request.unit_id], &request.tags);
        let tags: Vec<_> = tags.iter().map(|tag| dfs_wire::Tag(*tag)).collect();
        let (mut items, mut bytes, mut through) = (Vec::new(), 0, next);
        let begin = self
            .cuts
            .partition_point(|cut| cut.first_lsn <= next)
            .saturating_sub(1);
        for cut in &self.cuts[begin..] {
            let mut first_lsn = cut.first_lsn;
            for run in &cut.lanes {
                let run_lsn = first_lsn;
                first_lsn += run.to_idx - run.from_idx;
                if first_lsn <= next || self.lanes[&run.lane].stripe != request.stripe {
                    continue;
                }
                let held = unit.frames.get(&run.lane).map_or(&[][..], Vec::as_slice);
                if held.last().map_or(0, Frame::end_idx) < run.to_idx || bytes > ANSWER_BYTES {
                    return (items, through);
                }
                let begin = held.partition_point(|f| f.header.first_idx < run.from_idx);
                let inside = |f: &&Frame| f.end_idx() <= run.to_idx;
                for frame in held[begin..].iter().take_while(inside) {
                    let lsn = run_lsn + (frame.header.first_idx - run.from_idx);
                    if lsn + u64::from(frame.header.count) <= next {
                        continue;
                    }
                    let excepted = request.except_lanes.contains(&run.lane);
                    if excepted || !wants(&tags, &frame.header.tags) {
                        skip(&mut items, lsn, frame);
                    } else if unit.fault != Fault::Swallowing {
                        bytes += frame.bytes().len();
                        items.push(scanned(lsn, cut, frame));
                    }
                }
            }
            through = through.max(first_lsn);
        }
        (items, through)
    }
}

/// Neighbouring skips are one.
fn skip(items: &mut Vec<v1::ScanItem>, lsn: u64, frame: &Frame) {
    let count = u64::from(frame.header.count);
    if let Some(v1::ScanItem {
        item: Some(Item::Skip(last)),
    }) = items.last_mut()
    {
        (last.last_lsn, last.count) = (lsn + count - 1, last.count + count);
        return;
    }
    let skip = v1::Skip {
        first_lsn: lsn,
        last_lsn: lsn + count - 1,
        count,
    };
    items.push(v1::ScanItem {
        item: Some(Item::Skip(skip)),
    });
}

fn scanned(first_lsn: u64, cut: &v1::Cut, frame: &Frame) -> v1::ScanItem {
    let frame = v1::ScannedFrame {
        first_lsn,
        cut_seq: cut.cut_seq,
        log_time_us: cut.log_time_us,
        lane: frame.header.lane,
        frame: frame.bytes().clone(),
    };
    v1::ScanItem {
        item: Some(Item::Frame(frame)),
    }
}

impl Scanning {
    async fn next(mut self) -> Option<(Result<v1::ScanBatch, Refusal>, Self)> {
        loop {
            let last_lsn = self.request.last_lsn;
            if self.ended || (last_lsn != 0 && self.next > last_lsn) {
                return None;
            }
            {
                let state = self.cluster.state.lock();
                let unit = &state.units[&self.request.unit_id];
                if unit.epoch != self.epoch {
                    return None;
                }
                let (mut items, mut through) = (Vec::new(), self.next);
                if unit.fault != Fault::Stalled {
                    (items, through) = state.scan(&self.request, self.next);
                }
                if unit.fault == Fault::Damaged && through > self.next {
                    drop(state);
                    self.ended = true;
                    let refusal = Refusal::new(Code::Corrupt, "frame", "its checksum differs");
                    return Some((Err(refusal.at(self.next)), self));
                }
                if unit.fault == Fault::Blank && through > self.next {
                    drop(state);
                    self.ended = true;
                    let refusal = Refusal::new(Code::Absent, "scan", "it has no stamps of it");
                    return Some((Err(refusal), self));
                }
                drop(state);
                if through > self.next {
                    self.next = through;
                    items.push(v1::ScanItem {
                        item: Some(Item::ProgressThroughLsn(through - 1)),
                    });
                    return Some((Ok(v1::ScanBatch { items }), self));
                }
            }
            self.versions.changed().await.ok()?;
        }
    }
}
