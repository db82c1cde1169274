//! Three units of one stripe, an owner that sends them frames, and peers that can be cut off or lie.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfs_env::sim::{SimDisk, SimWorld};
use dfs_rpc::roles::{Answers, LogUnit, Requests};
use dfs_wire::frame::{Frame, FrameDraft};
use dfs_wire::{Code, Refusal, Tag, v1};
use futures::{StreamExt, stream};

use super::fake::{Fake, STRIPE};
use super::rig::{Answered, noise, scan, start_unit};
use crate::{UnitConfig, UnitRole};

pub(super) const UNITS: [u64; 3] = [1, 2, 3];

pub(super) fn name(unit: u64) -> &'static str {
    ["unit-0", "unit-1", "unit-2", "unit-3", "unit-4"][unit as usize]
}

pub(super) struct Trio {
    pub(super) world: SimWorld,
    pub(super) fake: Arc<Fake>,
    roles: [Option<Arc<UnitRole>>; 5],
    change: fn(&mut UnitConfig),
    /// Of lane 1, all that were ever made.
    pub(super) frames: Vec<Frame>,
}

/// Small segments, and nothing kept in memory.
pub(super) fn small(config: &mut UnitConfig) {
    (config.segment_bytes_min, config.segment_bytes_max) = (64 << 10, 256 << 10);
    config.cache_bytes = 0;
}

impl Trio {
    pub(super) async fn new(world: &SimWorld, change: fn(&mut UnitConfig)) -> Trio {
        let fake = Fake::new(world.node("sequencer"));
        {
            let mut known = fake.known.lock();
            (known.units, known.quorum) = (UNITS.to_vec(), 2);
            known.cuts_at_once = true;
        }
        let mut trio = Trio {
            world: world.clone(),
            fake,
            roles: Default::default(),
            change,
            frames: Vec::new(),
        };
        for unit in UNITS {
            trio.start(unit).await;
        }
        trio.fake.open_lane(1);
        trio
    }

    pub(super) async fn start(&mut self, unit: u64) {
        let hellos = self.fake.known.lock().hellos;
        let started = start_unit(&self.world, name(unit), unit, &self.fake, self.change).await;
        let role = started.expect("the unit starts");
        self.fake.roles.lock().insert(unit, role.clone());
        self.roles[unit as usize] = Some(role);
        self.fake.until(|known| known.hellos > hellos).await;
    }

    pub(super) fn stop(&mut self, unit: u64, power_loss: bool) {
        if power_loss {
            self.world.power_loss(name(unit));
        } else {
            self.world.crash(name(unit));
        }
        self.cut_off(unit);
        self.roles[unit as usize] = None;
    }

    /// Peers do not reach it.
    pub(super) fn cut_off(&self, unit: u64) {
        self.fake.roles.lock().remove(&unit);
    }

    pub(super) fn reconnect(&self, unit: u64) {
        if let Some(role) = &self.roles[unit as usize] {
            self.fake.roles.lock().insert(unit, role.clone());
        }
    }

    /// What it gives to peers are other bytes than it holds.
    pub(super) fn forge(&self, unit: u64) {
        let role = self.role(unit).clone();
        let forger = Arc::new(Forger(role));
        self.fake.roles.lock().insert(unit, forger);
    }

    pub(super) fn is_up(&self, unit: u64) -> bool {
        self.roles[unit as usize].is_some()
    }

    pub(super) fn role(&self, unit: u64) -> &Arc<UnitRole> {
        self.roles[unit as usize].as_ref().expect("it runs")
    }

    pub(super) fn disk(&self, unit: u64) -> SimDisk {
        self.world.disk(name(unit), "log")
    }

    pub(super) async fn status(&self, unit: u64) -> v1::UnitStatusAnswer {
        let request = v1::UnitStatusRequest { unit_id: unit };
        self.role(unit).status(request).await.expect("status")
    }

    pub(super) fn end_lsn(&self) -> u64 {
        self.fake.known.lock().next_lsn
    }

    /// What lies below is trimmed.
    pub(super) fn begin_lsn(&self) -> u64 {
        self.fake.known.lock().trim_lsn.max(1)
    }

    pub(super) async fn scan(&self, unit: u64) -> Result<Answered, Refusal> {
        let request = v1::ScanRequest {
            unit_id: unit,
            stripe: STRIPE,
            from_lsn: self.begin_lsn(),
            last_lsn: self.end_lsn() - 1,
            ..Default::default()
        };
        scan(self.role(unit), request).await
    }

    /// What a unit answers is what was sent, as far as it answers; says whether it was all.
    pub(super) async fn reads_right(&self, unit: u64) -> Result<bool, String> {
        if self.end_lsn() == self.begin_lsn() {
            return Ok(true);
        }
        let answered = match self.scan(unit).await {
            Ok(answered) => answered,
            Err(refusal) => return is_honest(&refusal).map(|()| false),
        };
        let mut next_lsn = self.begin_lsn();
        for (first_lsn, frame) in &answered.frames {
            let sent = self.frames.iter().find(|f| f.end_idx() == frame.end_idx());
            let same = sent.is_some_and(|sent| sent.bytes() == frame.bytes());
            let first = answered.frames.first().map(|(lsn, _)| *lsn) == Some(*first_lsn);
            if first && *first_lsn < next_lsn {
                next_lsn = *first_lsn; // a frame that the trim goes through is given whole
            }
            if *first_lsn != next_lsn || !same {
                return Err(format!("unit {unit} serves other bytes at LSN {first_lsn}"));
            }
            next_lsn += u64::from(frame.header.count);
        }
        match &answered.refusal {
            Some(refusal) => is_honest(refusal).map(|()| false),
            None if next_lsn == self.end_lsn() => Ok(true),
            None => Err(format!("unit {unit} ends at LSN {next_lsn}")),
        }
    }

    /// Waits until the unit holds all that was cut, undamaged, with its stamps.
    pub(super) async fn whole(&self, unit: u64) -> Result<(), String> {
        let env = dfs_env::current();
        for _ in 0..100 {
            let status = self.status(unit).await;
            let whole = status.lanes_behind == 0 && status.bad_ranges.is_empty();
            if whole && self.reads_right(unit).await? {
                return Ok(());
            }
            env.sleep(Duration::from_millis(300)).await;
        }
        let status = self.status(unit).await;
        let scanned = self.scan(unit).await.map(|answered| answered.refusal);
        Err(format!(
            "unit {unit} is not repaired: {scanned:?} {status:?}"
        ))
    }

    /// Makes frames of two records, of about so many bytes each.
    pub(super) fn make(&mut self, frames: usize, bytes: usize) {
        for _ in 0..frames {
            let before = self.frames.last();
            let (idx, chain) = before.map_or((0, Fake::chain(1)), |frame| {
                (frame.end_idx(), frame.chain_after())
            });
            let record = |i: u64| noise(idx * 31 + i, bytes);
            let draft = FrameDraft {
                tags: vec![Tag::shard(0)],
                records: vec![record(0), record(1)],
                ..Default::default()
            };
            self.frames.push(draft.freeze(1, idx, chain));
        }
    }

    /// Sends frames to a unit and waits until it has them, or says that it lacks some before them.
    pub(super) async fn give(&self, unit: u64, frames: std::ops::Range<usize>) {
        for frames in self.frames[frames].chunks(64) {
            while !self.give_some(unit, frames).await {}
        }
    }

    async fn give_some(&self, unit: u64, frames: &[Frame]) -> bool {
        let end_idx = frames.last().map_or(0, Frame::end_idx);
        let request = v1::AppendRequest {
            unit_id: unit,
            lane: 1,
            first_idx: frames.first().map_or(0, |frame| frame.header.first_idx),
            frames: frames.iter().map(|frame| frame.bytes().clone()).collect(),
            traces: Vec::new(),
        };
        let requests: Requests<_> = stream::iter([request]).chain(stream::pending()).boxed();
        let credits = self.role(unit).append(requests).await;
        let mut credits = credits.expect("a stream");
        while let Some(batch) = credits.next().await {
            let batch = batch.expect("no refusal");
            for credit in batch.credits {
                if credit.gap || credit.durable_idx >= end_idx {
                    return true;
                }
                if credit.unknown_lane {
                    return false;
                }
            }
        }
        false
    }

    /// All frames to some units, cut.
    pub(super) async fn give_and_cut(&self, units: &[u64], frames: std::ops::Range<usize>) {
        for unit in units {
            self.give(*unit, frames.clone()).await;
        }
        let end_idx = self.frames[frames.end - 1].end_idx();
        self.fake
            .until(|known| known.lanes[&1].length >= end_idx)
            .await;
    }
}

/// Damage is never passed for something else.
fn is_honest(refusal: &Refusal) -> Result<(), String> {
    let codes = [Code::Corrupt, Code::NotYet, Code::Absent, Code::Unavailable];
    match codes.contains(&refusal.code()) {
        true => Ok(()),
        false => Err(format!("{refusal:?}")),
    }
}

/// A unit whose frames are well formed, and not those that were cut.
struct Forger(Arc<UnitRole>);

fn forged(bytes: bytes::Bytes) -> bytes::Bytes {
    let frame = Frame::parse(bytes).expect("a frame");
    let header = frame.header;
    let draft = FrameDraft {
        tags: header.tags,
        records: vec![noise(77, 100); header.count as usize],
        ..Default::default()
    };
    let forged = draft.freeze(header.lane, header.first_idx, header.chain);
    forged.bytes().clone()
}

#[async_trait]
impl LogUnit for Forger {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        self.0.append(frames).await
    }

    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        self.0.scan(request).await
    }

    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        self.0.store(parts).await
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        self.0.load(request).await
    }

    async fn status(
        &self,
        request: v1::UnitStatusRequest,
    ) -> Result<v1::UnitStatusAnswer, Refusal> {
        self.0.status(request).await
    }

    async fn fetch(&self, request: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        let batches = self.0.fetch(request).await?;
        let forge = |batch: Result<v1::FetchBatch, Refusal>| {
            batch.map(|mut batch| {
                batch.frames = batch.frames.into_iter().map(forged).collect();
                batch
            })
        };
        Ok(batches.map(forge).boxed())
    }
}
