//! What a seed does to the processes while clients work.
mod members;

pub(crate) use members::ask;

use crate::alarms;
use crate::cluster::{
    Cluster, MATERIALIZERS, SEQUENCERS, UNITS, has_six_units, has_three_materializers, units,
};
use crate::leaving;
use crate::states;
use dfs_env::sim::SimWorld;
use dfs_env::{Env, OpenMode};
use std::time::Duration;

/// Each kind of fault alone, then several in a row, then several at a time.
pub(crate) const SEEDS_TO_A_ROUND: u64 = 14;
/// Faults of the richest seeds.
const FAULTS_MAX: u64 = 6;
/// Before the first fault and between two, ms.
const CALM_MS_MAX: u64 = 500;
/// From a crash to the next start, ms: also beyond the 500 ms of silence after which one is gone.
const DOWN_MS: (u64, u64) = (1, 1_500);
/// Of a pause, ms.
const PAUSE_MS_MAX: u64 = 3_000;
/// More, where a stripe is to be left behind: now and then only just.
const LOST_MS_MAX: u64 = 5_000;

/// Less than what is kept for stamps and repair, so that a disk is full (LOG-U8).
const HEADROOM_LEFT_BYTES: u64 = 32 << 20;
/// What a disk has from the start, far more than is ever written.
const ROOM_BYTES: u64 = 4 << 30;

/// Whose disk is damaged.
const ROTTEN: &str = UNITS[0];
const SECTOR_BYTES: u64 = 512;
/// Where a file that is little used holds something.
const ROT_BYTES: u64 = 512 << 10;
/// Before the damage is given up, because everything that was looked at was empty.
const ROT_TRIES: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends; its page cache stays.
    Crash(&'static str),
    /// Its machine ends.
    PowerLoss(&'static str),
    /// Whoever is primary then.
    CrashPrimary,
    /// Whoever is primary then does not run for a while, and goes on as if nothing had been.
    PausePrimary,
    /// The same of the sequencer that leads.
    PauseLeader,
    /// The sequencer that leads then.
    CrashLeader,
    PowerLossOfLeader,
    /// The leader and the other sequencers do not hear each other, and perhaps nobody hears it.
    CutOffLeader,
    /// All units at once.
    PowerLossOfUnits,
    /// Two units of a stripe that is written to, for longer than it takes to close it (LOG-D6).
    LossOfQuorum,
    /// Every machine at once; they start again in any order.
    PowerLossOfAll,
    /// A unit is to leave; whatever else happens meanwhile.
    Drain(&'static str),
    /// One of those that are written to.
    DrainInUse,
    /// The directory of a unit is emptied, always of the one that rots: it comes back as another unit.
    Emptied,
    /// The disks of all but one of a stripe's units that is written to are full for a while (LOG-U8).
    FullDisks,
    /// A unit is away while the lane that it missed a part of ends with its owner.
    LongOutage(&'static str),
    /// Sequencers join and leave.
    Exchange,
    /// A sequencer loses its disk, and comes back as another; or, broken, as the one it was.
    Wipe {
        forgetful: bool,
    },
    /// A row of a replica that is not the primary is damaged, as by bad memory (FOLD-X4b).
    OddReplica,
    /// Sectors of one unit's log rot, always of the same unit: the others still have what was there.
    Rot,
}

/// By the seed, one sequencer or three: each kind of fault meets three in one of three rounds.
pub(crate) fn sequencers(world: &SimWorld) -> &'static [&'static str] {
    let round = world.seed() / SEEDS_TO_A_ROUND;
    match (world.seed() + round) % 3 {
        1 => &SEQUENCERS,
        _ => &SEQUENCERS[..1],
    }
}

/// By the seed, what strikes in a row, once or twice at a time: none, one of each kind, or several in a row.
pub(crate) fn plans(world: &SimWorld) -> Vec<Vec<Fault>> {
    if let Some(plans) = plans_of_three(world) {
        return plans;
    }
    let at_a_time = match world.seed() % SEEDS_TO_A_ROUND {
        9 => 2,
        12 => {
            return vec![
                vec![Fault::Exchange],
                vec![leader(world, Fault::CrashLeader)],
            ];
        }
        _ => 1,
    };
    (0..at_a_time).map(|_| plan(world)).collect()
}

/// Three materializers have faults of their own: one is odd while others are away, and more than one campaigns.
fn plans_of_three(world: &SimWorld) -> Option<Vec<Vec<Fault>>> {
    if !has_three_materializers(world) {
        return None;
    }
    let any_of_three = Fault::Crash(MATERIALIZERS[world.below(3) as usize]);
    let plans = match world.seed() % SEEDS_TO_A_ROUND {
        0 => vec![vec![Fault::OddReplica]],
        1 => vec![vec![Fault::OddReplica], vec![Fault::PausePrimary; 2]],
        2 => vec![vec![Fault::OddReplica], vec![Fault::CrashPrimary]],
        3 => vec![vec![Fault::PausePrimary; 4]],
        4 => vec![vec![Fault::PausePrimary; 2], vec![Fault::CrashPrimary; 2]],
        5 => vec![vec![Fault::CrashPrimary, any_of_three]; 2],
        6 => vec![vec![Fault::OddReplica], vec![any_of_three]],
        7 => vec![vec![Fault::OddReplica], vec![Fault::PowerLossOfAll]],
        _ => return None,
    };
    Some(plans)
}

fn plan(world: &SimWorld) -> Vec<Fault> {
    let unit = |world: &SimWorld| {
        let units = units(world);
        units[world.below(units.len() as u64) as usize]
    };
    match world.seed() % SEEDS_TO_A_ROUND {
        0 if has_six_units(world) => vec![Fault::LossOfQuorum, Fault::LossOfQuorum],
        1 if has_six_units(world) => vec![Fault::FullDisks, Fault::Crash(unit(world))],
        2 if has_six_units(world) => vec![Fault::DrainInUse, Fault::PowerLoss(unit(world))],
        3 if has_six_units(world) => vec![Fault::Emptied, Fault::CrashPrimary],
        0 => Vec::new(),
        1 => vec![Fault::Crash(unit(world))],
        2 => vec![Fault::PowerLoss(unit(world))],
        3 => vec![one_of(world, Fault::CrashPrimary, Fault::PausePrimary)],
        4 => vec![leader(world, Fault::CrashLeader)],
        5 => vec![leader(world, Fault::PowerLossOfLeader)],
        6 => vec![Fault::PowerLossOfUnits],
        7 => vec![Fault::PowerLossOfAll],
        10 => vec![Fault::LongOutage(unit(world)), Fault::Crash(unit(world))],
        13 if sequencers(world).len() > 1 => vec![Fault::Wipe { forgetful: false }],
        13 => vec![Fault::Exchange, leader(world, Fault::PowerLossOfLeader)],
        11 => vec![Fault::Rot; 1 + world.below(FAULTS_MAX) as usize],
        _ => (0..1 + world.below(FAULTS_MAX))
            .map(|_| any(world, unit(world)))
            .collect(),
    }
}

fn one_of(world: &SimWorld, one: Fault, other: Fault) -> Fault {
    if world.below(2) == 0 { one } else { other }
}

/// Of three sequencers, one may be cut off instead.
fn leader(world: &SimWorld, otherwise: Fault) -> Fault {
    match sequencers(world).len() > 1 && world.below(2) == 0 {
        true => Fault::CutOffLeader,
        false => otherwise,
    }
}

fn any(world: &SimWorld, unit: &'static str) -> Fault {
    match world.below(if has_six_units(world) { 16 } else { 13 }) {
        15 => Fault::FullDisks,
        14 => Fault::Drain(unit),
        13 => Fault::LossOfQuorum,
        12 => Fault::PausePrimary,
        11 => Fault::PauseLeader,
        0 => Fault::Crash(unit),
        1 => Fault::PowerLoss(unit),
        2 => Fault::CrashPrimary,
        3 => leader(world, Fault::CrashLeader),
        4 => leader(world, Fault::PowerLossOfLeader),
        5 => Fault::PowerLossOfUnits,
        6 => Fault::PowerLossOfAll,
        7 => Fault::LongOutage(unit),
        8 => Fault::Rot,
        9 => Fault::Exchange,
        _ if has_three_materializers(world) => Fault::Crash(MATERIALIZERS[world.below(3) as usize]),
        _ => Fault::Crash(MATERIALIZERS[world.below(2) as usize]),
    }
}

/// One after the other; every process runs again at the end.
pub(crate) async fn strike(cluster: Cluster, env: Env, faults: Vec<Fault>) {
    let world = cluster.network.world().clone();
    for fault in faults {
        let calm = world.below(CALM_MS_MAX * 1000);
        env.sleep(Duration::from_micros(calm)).await;
        let struck = match fault {
            Fault::Crash(name) => {
                cluster.crash(&env, name);
                vec![name]
            }
            Fault::CrashPrimary => {
                let name = cluster.primary().await;
                cluster.crash(&env, name);
                vec![name]
            }
            Fault::PausePrimary => pause(&cluster, &env, cluster.primary().await).await,
            Fault::PauseLeader => pause(&cluster, &env, cluster.leader().await).await,
            Fault::CrashLeader => {
                let name = cluster.leader().await;
                cluster.crash(&env, name);
                vec![name]
            }
            Fault::PowerLossOfLeader => {
                let name = cluster.leader().await;
                lose(&cluster, &env, vec![name])
            }
            Fault::CutOffLeader => {
                cut_off(&cluster, &env).await;
                Vec::new()
            }
            Fault::PowerLoss(name) => lose(&cluster, &env, vec![name]),
            Fault::PowerLossOfUnits => lose(&cluster, &env, cluster.units().to_vec()),
            Fault::LossOfQuorum => lose_quorum(&cluster, &env).await,
            Fault::Drain(_) | Fault::DrainInUse | Fault::Emptied | Fault::FullDisks => {
                take_away(&cluster, &env, fault).await
            }
            Fault::PowerLossOfAll => lose(&cluster, &env, cluster.names().collect()),
            Fault::Exchange => {
                members::exchange(&cluster, &env).await;
                Vec::new()
            }
            Fault::Wipe { forgetful } => {
                members::wipe(&cluster, &env, forgetful).await;
                Vec::new()
            }
            Fault::LongOutage(unit) => {
                cluster.crash(&env, unit);
                outlive_a_primary(&cluster, &env).await;
                vec![unit]
            }
            Fault::OddReplica => {
                states::damage(&cluster, &env).await;
                Vec::new()
            }
            Fault::Rot => {
                let running = world.below(2) == 0;
                if !running {
                    cluster.crash(&env, ROTTEN);
                }
                rot(&cluster, &env).await;
                if running { Vec::new() } else { vec![ROTTEN] }
            }
        };
        start_again(&cluster, &env, struck).await;
    }
}

/// In any order.
async fn start_again(cluster: &Cluster, env: &Env, mut struck: Vec<&'static str>) {
    let world = cluster.network.world();
    while !struck.is_empty() {
        let name = struck.swap_remove(world.below(struck.len() as u64) as usize);
        let down = DOWN_MS.0 + world.below(DOWN_MS.1 - DOWN_MS.0);
        env.sleep(Duration::from_millis(down)).await;
        cluster.start(name);
    }
}

/// Units, or their room.
async fn take_away(cluster: &Cluster, env: &Env, fault: Fault) -> Vec<&'static str> {
    let leaves = match fault {
        Fault::Drain(name) => Some(name),
        Fault::DrainInUse => cluster.stripe_in_use().await.pop(),
        Fault::Emptied => {
            leaving::empty(cluster, env, ROTTEN).await;
            return vec![ROTTEN];
        }
        _ => {
            fill_disks(cluster, env).await;
            None
        }
    };
    if let Some(name) = leaves {
        leaving::begin(cluster, env, name).await;
    }
    Vec::new()
}

/// All units but one of a stripe that is written to.
async fn all_but_one(cluster: &Cluster) -> Vec<&'static str> {
    let mut units = cluster.stripe_in_use().await;
    if !units.is_empty() {
        units.swap_remove(cluster.network.world().below(units.len() as u64) as usize);
    }
    units
}

/// Their lanes move to units with room; there is room again before anything else happens.
async fn fill_disks(cluster: &Cluster, env: &Env) {
    let world = cluster.network.world();
    let units = all_but_one(cluster).await;
    for name in &units {
        let disk = world.disk(name, "d/unit-1/log");
        disk.set_capacity(disk.used() + HEADROOM_LEFT_BYTES);
        cluster.network.note(env, "full", name, &[]);
    }
    env.sleep(Duration::from_millis(world.below(LOST_MS_MAX)))
        .await;
    for name in &units {
        world.disk(name, "d/unit-1/log").set_capacity(ROOM_BYTES);
        cluster.network.note(env, "room", name, &[]);
    }
}

/// For a while.
async fn lose_quorum(cluster: &Cluster, env: &Env) -> Vec<&'static str> {
    let world = cluster.network.world();
    let units = all_but_one(cluster).await;
    units.iter().for_each(|name| cluster.crash(env, name));
    env.sleep(Duration::from_millis(world.below(LOST_MS_MAX)))
        .await;
    units
}

/// Long enough for some work before, between and after.
async fn outlive_a_primary(cluster: &Cluster, env: &Env) {
    let world = cluster.network.world();
    env.sleep(Duration::from_millis(world.below(DOWN_MS.1)))
        .await;
    let primary = cluster.primary().await;
    cluster.crash(env, primary);
    env.sleep(Duration::from_millis(world.below(DOWN_MS.1)))
        .await;
    cluster.start(primary);
    env.sleep(Duration::from_millis(world.below(DOWN_MS.1)))
        .await;
}

/// Damages one sector that holds something, if one is found.
async fn rot(cluster: &Cluster, env: &Env) {
    alarms::expect(&[
        "open the log: damage",
        "read a frame back",
        "read the log through: damage",
    ]);
    let world = cluster.network.world();
    let disk = world.disk(ROTTEN, "d/unit-1/log");
    let mut files = disk.files();
    files.retain(|file| file.name.ends_with(".segment") && file.len > 0);
    for _ in 0..ROT_TRIES {
        if files.is_empty() {
            return;
        }
        let file = &files[world.below(files.len() as u64) as usize];
        let sector = world.below(ROT_BYTES.min(file.len) / SECTOR_BYTES);
        let opened = disk.open_disk().open(&file.name, OpenMode::Existing).await;
        let Ok(opened) = opened else { continue };
        let read = opened.read_at(sector * SECTOR_BYTES, SECTOR_BYTES as usize);
        if read.await.is_ok_and(|bytes| bytes.iter().all(|b| *b == 0)) {
            continue;
        }
        let (at, bit) = (sector * SECTOR_BYTES + world.below(SECTOR_BYTES), 3);
        match world.below(3) {
            0 => disk.zero_sector(&file.name, sector),
            1 => disk.make_sector_unreadable(&file.name, sector),
            _ => disk.flip_bit(&file.name, at, bit),
        }
        cluster
            .network
            .note(env, "rot", &file.name, &at.to_le_bytes());
        return;
    }
}

/// For as long as others are down.
async fn cut_off(cluster: &Cluster, env: &Env) {
    let world = cluster.network.world();
    let name = cluster.leader().await;
    let from_all = world.below(2) == 0;
    let others = cluster.sequencers.iter().filter(|other| **other != name);
    let others = (!from_all).then(|| others.copied().collect());
    cluster
        .network
        .note(env, "cut off", name, &[u8::from(from_all)]);
    cluster.network.cut_off(name, others);
    env.sleep(Duration::from_millis(
        DOWN_MS.0 + world.below(DOWN_MS.1 - DOWN_MS.0),
    ))
    .await;
    cluster.network.note(env, "heal", name, &[]);
    cluster.network.heal(name);
}

/// Up to beyond the silence after which a process counts as gone, and what a term of office outlives.
async fn pause(cluster: &Cluster, env: &Env, name: &'static str) -> Vec<&'static str> {
    let world = cluster.network.world();
    let paused = Duration::from_millis(DOWN_MS.0 + world.below(PAUSE_MS_MAX));
    let us = (paused.as_micros() as u64).to_le_bytes();
    cluster.network.note(env, "pause", name, &us);
    world.pause(name, paused);
    env.sleep(paused).await;
    Vec::new()
}

fn lose(cluster: &Cluster, env: &Env, names: Vec<&'static str>) -> Vec<&'static str> {
    names.iter().for_each(|name| cluster.power_loss(env, name));
    names
}
