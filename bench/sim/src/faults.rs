//! What a seed does to the processes while clients work.
use crate::cluster::{Cluster, MATERIALIZERS, SEQUENCER, UNITS};
use dfs_env::Env;
use dfs_env::sim::SimWorld;
use std::time::Duration;

/// Each kind of fault alone, then several in a row, then several at a time.
pub(crate) const SEEDS_TO_A_ROUND: u64 = 10;
/// Faults of the richest seeds.
const FAULTS_MAX: u64 = 6;
/// Before the first fault and between two, ms.
const CALM_MS_MAX: u64 = 500;
/// From a crash to the next start, ms: also beyond the 500 ms of silence after which one is gone.
const DOWN_MS: (u64, u64) = (1, 1_500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends; its page cache stays.
    Crash(&'static str),
    /// Its machine ends.
    PowerLoss(&'static str),
    /// Whoever is primary then.
    CrashPrimary,
    /// All units at once.
    PowerLossOfUnits,
    /// Every machine at once; they start again in any order.
    PowerLossOfAll,
}

/// By the seed, what strikes in a row, once or twice at a time: none, one of each kind, or several in a row.
pub(crate) fn plans(world: &SimWorld) -> Vec<Vec<Fault>> {
    let at_a_time = match world.seed() % SEEDS_TO_A_ROUND {
        9 => 2,
        _ => 1,
    };
    (0..at_a_time).map(|_| plan(world)).collect()
}

fn plan(world: &SimWorld) -> Vec<Fault> {
    let unit = |world: &SimWorld| UNITS[world.below(3) as usize];
    match world.seed() % SEEDS_TO_A_ROUND {
        0 => Vec::new(),
        1 => vec![Fault::Crash(unit(world))],
        2 => vec![Fault::PowerLoss(unit(world))],
        3 => vec![Fault::CrashPrimary],
        4 => vec![Fault::Crash(SEQUENCER)],
        5 => vec![Fault::PowerLoss(SEQUENCER)],
        6 => vec![Fault::PowerLossOfUnits],
        7 => vec![Fault::PowerLossOfAll],
        _ => (0..1 + world.below(FAULTS_MAX))
            .map(|_| any(world, unit(world)))
            .collect(),
    }
}

fn any(world: &SimWorld, unit: &'static str) -> Fault {
    match world.below(8) {
        0 => Fault::Crash(unit),
        1 => Fault::PowerLoss(unit),
        2 => Fault::CrashPrimary,
        3 => Fault::Crash(SEQUENCER),
        4 => Fault::PowerLoss(SEQUENCER),
        5 => Fault::PowerLossOfUnits,
        6 => Fault::PowerLossOfAll,
        _ => Fault::Crash(MATERIALIZERS[world.below(2) as usize]),
    }
}

/// One after the other; every process runs again at the end.
pub(crate) async fn strike(cluster: Cluster, env: Env, faults: Vec<Fault>) {
    let world = cluster.network.world().clone();
    for fault in faults {
        let calm = world.below(CALM_MS_MAX * 1000);
        env.sleep(Duration::from_micros(calm)).await;
        let mut struck = match fault {
            Fault::Crash(name) => {
                cluster.crash(&env, name);
                vec![name]
            }
            Fault::CrashPrimary => {
                let name = cluster.primary().await;
                cluster.crash(&env, name);
                vec![name]
            }
            Fault::PowerLoss(name) => lose(&cluster, &env, vec![name]),
            Fault::PowerLossOfUnits => lose(&cluster, &env, UNITS.to_vec()),
            Fault::PowerLossOfAll => lose(&cluster, &env, Cluster::names().collect()),
        };
        while !struck.is_empty() {
            let name = struck.swap_remove(world.below(struck.len() as u64) as usize);
            let down = DOWN_MS.0 + world.below(DOWN_MS.1 - DOWN_MS.0);
            env.sleep(Duration::from_millis(down)).await;
            cluster.start(name);
        }
    }
}

fn lose(cluster: &Cluster, env: &Env, names: Vec<&'static str>) -> Vec<&'static str> {
    names.iter().for_each(|name| cluster.power_loss(env, name));
    names
}
