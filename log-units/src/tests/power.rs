//! Crashes and power losses at any moment, and a judge who must find nothing, and finds a defect made on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use dfs_env::sim::SimWorld;
use dfs_wire::Tag;
use dfs_wire::frame::Frame;

use super::fake::Known;
use super::rig::{Appender, NODE, Rig, run};
use crate::UnitConfig;

const LANES: u64 = 3;
const CRASHES: u32 = 4;

/// What went wrong with what the unit had promised.
fn judge(
    known: &Known,
    promised: &[(u64, u64, u128)],
    scanned: &[(u64, Frame)],
    sent: &BTreeMap<(u64, u64), Frame>,
) -> Result<(), String> {
    let hello = known.hello.as_ref().ok_or("no Hello")?;
    for (lane, end_idx, chain) in promised {
        let cut = known.lanes.get(lane).map_or(0, |lane| lane.length);
        let held = hello.ends.iter().any(|end| {
            let same = (end.chain_high, end.chain_low) == ((chain >> 64) as u64, *chain as u64);
            end.lane == *lane && end.end_idx == *end_idx && same
        });
        if *end_idx > cut && !held {
            return Err(format!("lane {lane} idx {end_idx} was Durable and is gone"));
        }
    }
    let mut next_lsn = 1;
    for (first_lsn, frame) in scanned {
        let sent = sent.get(&(frame.header.lane, frame.end_idx()));
        if *first_lsn != next_lsn || sent.map(Frame::bytes) != Some(frame.bytes()) {
            return Err(format!("LSN {next_lsn}: other bytes than were sent"));
        }
        next_lsn += u64::from(frame.header.count);
    }
    if next_lsn != known.next_lsn {
        return Err(format!("{next_lsn} is not the end {}", known.next_lsn));
    }
    Ok(())
}

struct Life {
    rig: Rig,
    appenders: Vec<Appender>,
    sent: BTreeMap<(u64, u64), Frame>,
}

impl Life {
    /// Appends and cuts for a random while; then the machine stops where it is.
    async fn live_and_crash(&mut self, world: &SimWorld) {
        let until = Duration::from_micros(world.below(30_000));
        let env = dfs_env::current();
        let _ = env.timeout(until, self.live(world)).await;
        if world.below(3) == 0 {
            world.crash(NODE);
        } else {
            world.power_loss(NODE);
        }
    }

    async fn live(&mut self, world: &SimWorld) {
        for appender in &mut self.appenders {
            appender.connect(&self.rig.role).await;
            let held = self.rig.held(appender.lane);
            let keep = appender
                .frames
                .iter()
                .take_while(|frame| frame.end_idx() <= held)
                .count();
            let frames = appender.frames[keep..].to_vec();
            if !frames.is_empty() {
                appender.send(&frames).await; // LOG-A2: the same frames again
            }
        }
        loop {
            let at = world.below(LANES) as usize;
            let (count, bytes) = (1 + world.below(4) as usize, world.below(3000) as usize);
            let tag = Tag::shard(world.below(3));
            let frame = self.appenders[at].make(count, bytes, tag);
            self.sent
                .insert((frame.header.lane, frame.end_idx()), frame.clone());
            self.appenders[at].send(&[frame]).await;
            dfs_env::current()
                .sleep(Duration::from_micros(world.below(300)))
                .await;
        }
    }

    async fn restart_and_judge(&mut self, change: fn(&mut UnitConfig)) -> Result<(), String> {
        let promised: Vec<_> = self.rig.fake.known.lock().durable.iter().copied().collect();
        self.rig.fake.known.lock().cuts_at_once = false;
        self.rig.restart_with(change).await;
        let end = self.rig.fake.known.lock().next_lsn;
        let mut scanned = Vec::new();
        if end > 1 {
            let answered = self.rig.scan(1, end - 1).await;
            let answered = answered.map_err(|refusal| format!("{refusal:?}"))?;
            if let Some(refusal) = answered.refusal {
                return Err(format!("{refusal:?}"));
            }
            scanned = answered.frames;
        }
        let mut known = self.rig.fake.known.lock();
        judge(&known, &promised, &scanned, &self.sent)?;
        known.cuts_at_once = true;
        Ok(())
    }
}

fn lives(seed: u64, change: fn(&mut UnitConfig)) -> Result<u64, String> {
    run(seed, |world| async move {
        let rig = Rig::with(&world, change).await;
        rig.fake.until(|known| known.hellos > 0).await;
        (1..=LANES).for_each(|lane| rig.fake.open_lane(lane));
        rig.fake.known.lock().cuts_at_once = true;
        rig.log_disk().set_sync_us(50, 2000);
        let appenders = (1..=LANES).map(Appender::new).collect();
        let mut life = Life {
            rig,
            appenders,
            sent: BTreeMap::new(),
        };
        for _ in 0..CRASHES {
            life.live_and_crash(&world).await;
            life.restart_and_judge(change).await?;
        }
        let known = life.rig.fake.known.lock();
        Ok(known.next_lsn - 1)
    })
}

/// Small segments, so that many are passed through.
fn small(config: &mut UnitConfig) {
    (config.segment_bytes_min, config.segment_bytes_max) = (64 << 10, 256 << 10);
    config.cache_bytes = 10_000;
}

/// N1, LOG-I3, LOG-I8: over any crash, what was Durable is held and what was cut is served.
#[test]
fn nothing_that_was_durable_is_lost() {
    let mut records = 0;
    for seed in 0..60 {
        let lived = lives(seed, small);
        records += lived.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(records > 2000, "only {records} records were cut");
}

/// The judge can fail: a unit that reports before its fdatasync is found out.
#[test]
fn a_report_before_the_sync_is_found_out() {
    let lies = |config: &mut UnitConfig| {
        small(config);
        config.reports_before_sync = true;
    };
    let caught = (0..60).filter(|seed| lives(*seed, lies).is_err()).count();
    assert!(caught > 5, "only {caught} of 60 lives were judged wrong");
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..5 {
        assert_eq!(lives(seed, small), lives(seed, small));
    }
}
