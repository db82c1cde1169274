//! A unit on a simulated node, an appender that feeds it, and a reader that checks what it scans.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::OpenMode;
use dfs_env::sim::{SimDisk, SimWorld};
use dfs_rpc::roles::{Answers, LogUnit};
use dfs_wire::frame::{Frame, FrameDraft};
use dfs_wire::v1::scan_item::Item;
use dfs_wire::{Code, Refusal, Tag, v1};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::fake::{CLUSTER, Fake, FakeSequencer, STRIPE, UNIT};
use crate::{UnitConfig, UnitRole, format_or_open};

pub(super) const NODE: &str = "unit";

/// A test may take this long in simulated time; one that waits for ever ends here.
const TEST_TIME_MAX: Duration = Duration::from_secs(600);

pub(super) fn run<F, Fut>(seed: u64, f: F) -> Fut::Output
where
    F: FnOnce(SimWorld) -> Fut,
    Fut: Future,
{
    SimWorld::run(seed, |world| async move {
        let env = dfs_env::current();
        let run = env.timeout(TEST_TIME_MAX, f(world)).await;
        run.unwrap_or_else(|_| panic!("seed {seed}: waits for ever"))
    })
}

pub(super) struct Rig {
    pub(super) world: SimWorld,
    pub(super) fake: Arc<Fake>,
    pub(super) role: Arc<UnitRole>,
}

impl Rig {
    pub(super) async fn new(world: &SimWorld) -> Rig {
        Rig::with(world, |_| {}).await
    }

    pub(super) async fn with(world: &SimWorld, change: impl FnOnce(&mut UnitConfig)) -> Rig {
        let fake = Fake::new(world.node("sequencer"));
        let role = start(world, &fake, change).await.expect("the unit starts");
        let world = world.clone();
        Rig { world, fake, role }
    }

    pub(super) async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    pub(super) async fn restart_with(&mut self, change: impl FnOnce(&mut UnitConfig)) {
        let hellos = self.fake.known.lock().hellos;
        let started = start(&self.world, &self.fake, change).await;
        self.role = started.expect("the unit starts again");
        self.fake.until(|known| known.hellos > hellos).await;
    }

    pub(super) fn now(&self) -> tokio::time::Instant {
        dfs_env::current().now()
    }

    pub(super) fn log_disk(&self) -> SimDisk {
        self.world.disk(NODE, "log")
    }

    pub(super) fn extents_disk(&self) -> SimDisk {
        self.world.disk(NODE, "extents")
    }

    /// (damaged extents, damaged places that name none).
    pub(super) async fn damage_told(&self) -> (u64, u64) {
        let request = v1::UnitStatusRequest { unit_id: UNIT };
        let status = self.role.status(request).await.expect("status");
        (status.damaged_extents, status.nameless_damage)
    }

    /// How far a lane was said to be held, at the last Hello or by a cut.
    pub(super) fn held(&self, lane: u64) -> u64 {
        let known = self.fake.known.lock();
        let ends = known.hello.iter().flat_map(|hello| &hello.ends);
        let held = ends
            .filter(|end| end.lane == lane)
            .map(|end| end.end_idx)
            .max();
        held.unwrap_or(0)
            .max(known.lanes.get(&lane).map_or(0, |lane| lane.length))
    }

    pub(super) fn role_failed(&self) -> bool {
        futures::FutureExt::now_or_never(self.role.failed()).is_some()
    }

    pub(super) async fn status(&self) -> v1::UnitStatusAnswer {
        let request = v1::UnitStatusRequest { unit_id: UNIT };
        self.role.status(request).await.expect("status")
    }

    /// Everything up to `last_lsn`, as checked by `Answered`.
    pub(super) async fn scan(&self, from_lsn: u64, last_lsn: u64) -> Result<Answered, Refusal> {
        self.scan_with(question(from_lsn, last_lsn)).await
    }

    pub(super) async fn scan_with(&self, request: v1::ScanRequest) -> Result<Answered, Refusal> {
        scan(&self.role, request).await
    }
}

pub(super) async fn scan(role: &UnitRole, request: v1::ScanRequest) -> Result<Answered, Refusal> {
    let mut batches = role.scan(request).await?;
    let mut answered = Answered::default();
    while let Some(batch) = batches.next().await {
        match batch {
            Ok(batch) => answered.take(batch),
            Err(refusal) if answered.frames.is_empty() => return Err(refusal),
            Err(refusal) => {
                answered.refusal = Some(refusal);
                return Ok(answered);
            }
        }
    }
    Ok(answered)
}

async fn start(
    world: &SimWorld,
    fake: &Arc<Fake>,
    change: impl FnOnce(&mut UnitConfig),
) -> Result<Arc<UnitRole>, Refusal> {
    start_unit(world, NODE, UNIT, fake, change).await
}

pub(super) async fn start_unit(
    world: &SimWorld,
    name: &str,
    unit_id: u64,
    fake: &Arc<Fake>,
    change: impl FnOnce(&mut UnitConfig),
) -> Result<Arc<UnitRole>, Refusal> {
    let env = world.node(name);
    let log = env.disk(Path::new("log")).expect("the log's disk");
    let extents = env.disk(Path::new("extents")).expect("the extents' disk");
    let identity = format_or_open(&env, &*log, &*extents)
        .await
        .expect("an identity");
    let cluster = Bytes::from_static(CLUSTER);
    let node = v1::Owner {
        node_id: 3,
        incarnation: env.random_u64(),
    };
    let mut config = UnitConfig::new(unit_id, identity.nonce, cluster, node, log, extents);
    change(&mut config);
    UnitRole::start(&env, config, Arc::new(FakeSequencer(fake.clone()))).await
}

pub(super) fn question(from_lsn: u64, last_lsn: u64) -> v1::ScanRequest {
    v1::ScanRequest {
        unit_id: UNIT,
        stripe: STRIPE,
        from_lsn,
        last_lsn,
        ..Default::default()
    }
}

/// What a scan answered; checks order and progress as it comes.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) frames: Vec<(u64, Frame)>,
    pub(super) skips: Vec<v1::Skip>,
    pub(super) progress: u64,
    pub(super) refusal: Option<Refusal>,
    last: u64,
}

impl Answered {
    pub(super) fn take(&mut self, batch: v1::ScanBatch) {
        for item in batch.items {
            match item.item.expect("an item") {
                Item::Frame(scanned) => {
                    assert!(scanned.first_lsn > self.last, "frames in LSN order");
                    let frame = Frame::parse(scanned.frame).expect("a whole frame");
                    assert_eq!(frame.header.lane, scanned.lane);
                    self.last = scanned.first_lsn + u64::from(frame.header.count) - 1;
                    self.frames.push((scanned.first_lsn, frame));
                }
                Item::Skip(skip) => {
                    assert!(skip.first_lsn > self.last && skip.last_lsn >= skip.first_lsn);
                    assert!(skip.count <= skip.last_lsn - skip.first_lsn + 1);
                    self.last = skip.last_lsn;
                    self.skips.push(skip);
                }
                Item::ProgressThroughLsn(lsn) => {
                    assert!(lsn > self.progress);
                    self.progress = lsn;
                }
            }
        }
    }

    /// LOG-R2: what frames and skips count together.
    pub(super) fn count(&self) -> u64 {
        let frames = self
            .frames
            .iter()
            .map(|(_, frame)| u64::from(frame.header.count));
        frames.sum::<u64>() + self.skips.iter().map(|skip| skip.count).sum::<u64>()
    }

    pub(super) fn code(&self) -> Option<Code> {
        self.refusal.as_ref().map(Refusal::code)
    }
}

/// A unit with one lane, opened and connected.
pub(super) async fn one_lane(
    world: &SimWorld,
    change: impl FnOnce(&mut UnitConfig),
) -> (Rig, Appender) {
    let rig = Rig::with(world, change).await;
    rig.fake.open_lane(1);
    let mut appender = Appender::new(1);
    appender.connect(&rig.role).await;
    known_lane(&rig, &mut appender).await;
    (rig, appender)
}

/// LOG-U5: sends until the unit has heard of the lane.
pub(super) async fn known_lane(rig: &Rig, appender: &mut Appender) {
    rig.fake.until(|known| known.hellos > 0).await;
    if appender.frames.is_empty() {
        appender.make(1, 10, Tag::shard(0));
    }
    appender.send(&appender.frames).await;
    while appender.credit().await.expect("credit").unknown_lane {
        appender.send(&appender.frames).await;
    }
    appender.durable().await;
}

/// Bytes that do not compress and do not repeat.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    let word = |at: u64| {
        let mixed = (seed << 32 | at).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 32)).to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8) as u64).flat_map(word).collect();
    bytes.truncate(len);
    bytes.into()
}

/// Where `needle` lies on a disk.
pub(super) async fn find(disk: &SimDisk, needle: &[u8]) -> (String, u64) {
    let opened = disk.open_disk();
    for info in disk.files() {
        let file = opened
            .open(&info.name, OpenMode::Existing)
            .await
            .expect("a file");
        let held = file.read_at(0, info.len as usize).await.expect("readable");
        if let Some(at) = held
            .windows(needle.len())
            .position(|window| window == needle)
        {
            return (info.name, at as u64);
        }
    }
    panic!("nowhere on the disk");
}

/// One lane's owner: makes frames, sends them, and keeps them all.
pub(super) struct Appender {
    pub(super) lane: u64,
    pub(super) frames: Vec<Frame>,
    chain: u128,
    requests: Option<mpsc::Sender<v1::AppendRequest>>,
    credits: Option<Answers<v1::CreditBatch>>,
}

impl Appender {
    pub(super) fn new(lane: u64) -> Appender {
        let (frames, chain) = (Vec::new(), Fake::chain(lane));
        let (requests, credits) = (None, None);
        Appender {
            lane,
            frames,
            chain,
            requests,
            credits,
        }
    }

    /// A stream to this incarnation of the unit.
    pub(super) async fn connect(&mut self, role: &Arc<UnitRole>) {
        let (requests, sent) = mpsc::channel(64);
        let credits = role.append(ReceiverStream::new(sent).boxed()).await;
        (self.requests, self.credits) = (Some(requests), Some(credits.expect("a stream")));
    }

    /// The next frame, of `count` records of about `bytes`.
    pub(super) fn make(&mut self, count: usize, bytes: usize, tag: Tag) -> Frame {
        self.make_with(count, bytes, tag, false)
    }

    pub(super) fn make_with(
        &mut self,
        count: usize,
        bytes: usize,
        tag: Tag,
        privileged: bool,
    ) -> Frame {
        let first_idx = self.end_idx();
        let record = |i: usize| noise(self.lane * 1_000_003 + first_idx * 31 + i as u64, bytes);
        let draft = FrameDraft {
            tags: vec![tag],
            privileged,
            records: (0..count).map(record).collect(),
            ..Default::default()
        };
        let frame = draft.freeze(self.lane, first_idx, self.chain);
        self.chain = frame.chain_after();
        self.frames.push(frame.clone());
        frame
    }

    /// Forgets all but the first frames.
    pub(super) fn rewind(&mut self, frames: usize) {
        self.frames.truncate(frames);
        self.chain = self
            .frames
            .last()
            .map_or(Fake::chain(self.lane), Frame::chain_after);
    }

    pub(super) fn end_idx(&self) -> u64 {
        self.frames.last().map_or(0, Frame::end_idx)
    }

    pub(super) fn end(&self) -> (u64, u64, u128) {
        (self.lane, self.end_idx(), self.chain)
    }

    pub(super) async fn send(&self, frames: &[Frame]) {
        let request = v1::AppendRequest {
            unit_id: UNIT,
            lane: self.lane,
            first_idx: frames.first().map_or(0, |frame| frame.header.first_idx),
            frames: frames.iter().map(|frame| frame.bytes().clone()).collect(),
            traces: Vec::new(),
        };
        let sent = self
            .requests
            .as_ref()
            .expect("a stream")
            .send(request)
            .await;
        sent.expect("the unit takes it");
    }

    /// Makes a frame and sends it.
    pub(super) async fn append(&mut self, count: usize, bytes: usize) {
        let frame = self.make(count, bytes, Tag::shard(0));
        self.send(&[frame]).await;
    }

    /// The next credit of this lane.
    pub(super) async fn credit(&mut self) -> Result<v1::Credit, Refusal> {
        let credits = self.credits.as_mut().expect("a stream");
        let batch = credits.next().await.expect("a credit")?;
        let credit = batch.credits.iter().find(|credit| credit.lane == self.lane);
        Ok(*credit.expect("of this lane"))
    }

    /// Waits for a credit of which `f` holds.
    pub(super) async fn until(&mut self, f: impl Fn(&v1::Credit) -> bool) -> v1::Credit {
        loop {
            let credit = self.credit().await.expect("no refusal");
            if f(&credit) {
                return credit;
            }
        }
    }

    pub(super) async fn durable(&mut self) {
        let end_idx = self.end_idx();
        self.until(|credit| credit.durable_idx >= end_idx).await;
    }
}
