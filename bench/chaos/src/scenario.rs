//! The scenarios: which faults follow one another, drawn from the seed, until the time is over.
use crate::faults::{Nemesis, Ways};
use clap::ValueEnum;
use std::time::Duration;

/// The last fault ends so long before the load does, at least.
const REST: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nothing is done: the figures of a healthy run
    Healthy,
    /// SIGKILL of a random process every 5 s (E1)
    Kill,
    /// SIGKILL of the leading sequencer every 2 s (E2, F167)
    LeaderKill,
    /// SIGKILL of the primary materializer every 4 s
    PrimaryKill,
    /// SIGSTOP of the primary for 2 to 6 s, every 10 s, with a client that knows only it (E6)
    Pause,
    /// Primary, sequencer or a unit cut off for 4 s, every 10 s, both ways or one, with or without
    /// the clients (E6, F161). Needs root
    Partition,
    /// A random process 10 to 300 ms away for 4 s, every 6 s (F161). Needs root
    Delay,
    /// Healthy, one unit of the stripe +50 ms, all its units +50 ms, in turn (E5). Needs root
    SlowUnit,
    /// All of these by chance, every 5 s
    Mixed,
}

impl Scenario {
    pub(crate) fn needs_network(self) -> bool {
        matches!(
            self,
            Scenario::Partition | Scenario::Delay | Scenario::SlowUnit
        )
    }

    fn every(self) -> Duration {
        Duration::from_secs(match self {
            Scenario::Healthy | Scenario::SlowUnit => 1,
            Scenario::LeaderKill => 2,
            Scenario::PrimaryKill => 4,
            Scenario::Kill | Scenario::Mixed => 5,
            Scenario::Delay => 6,
            Scenario::Pause | Scenario::Partition => 10,
        })
    }

    /// How many clients wait at once: beside a fault-over, enough to go on asking.
    pub(crate) fn workers(self) -> u64 {
        match self {
            Scenario::LeaderKill => 256,
            _ => 64,
        }
    }
}

/// Until it is time to heal.
pub(crate) async fn play(nemesis: &Nemesis, scenario: Scenario, every: Option<Duration>) {
    let every = every.unwrap_or(scenario.every());
    let until = nemesis.load.until - REST;
    if scenario == Scenario::SlowUnit {
        return slow_unit(nemesis).await;
    }
    let mut next = nemesis.env.now() + every / 2;
    while next + every / 2 < until {
        let wait = next.saturating_duration_since(nemesis.env.now());
        nemesis.env.sleep(wait).await;
        one(nemesis, scenario).await;
        next += every;
    }
    let rest = until.saturating_duration_since(nemesis.env.now());
    nemesis.env.sleep(rest).await;
}

async fn one(nemesis: &Nemesis, scenario: Scenario) {
    match scenario {
        Scenario::Healthy | Scenario::SlowUnit => nemesis.look_for_ended(),
        Scenario::Kill => {
            let down = Duration::from_millis(nemesis.between(0, 2_000));
            if let Some(process) = nemesis.random() {
                nemesis.kill(process, down).await;
            }
        }
        Scenario::LeaderKill => {
            let alone = nemesis.cluster.sequencer_addresses().len() == 1;
            let down = Duration::from_millis(if alone { 0 } else { 1_000 });
            if let Some(process) = nemesis.leader().await {
                nemesis.kill(process, down).await;
            }
        }
        Scenario::PrimaryKill => {
            let down = Duration::from_millis(nemesis.between(0, 1_500));
            if let Some(process) = nemesis.primary().await {
                nemesis.kill(process, down).await;
            }
        }
        Scenario::Pause => {
            let length = Duration::from_millis(nemesis.between(2_000, 6_000));
            if let Some(process) = nemesis.primary().await {
                nemesis.pause(process, length).await;
            }
        }
        Scenario::Partition => partition(nemesis).await,
        Scenario::Delay => {
            let by = Duration::from_millis(nemesis.between(10, 300));
            if let Some(process) = nemesis.random() {
                nemesis.delay(&[process], by, Duration::from_secs(4)).await;
            }
        }
        Scenario::Mixed => mixed(nemesis).await,
    }
}

async fn mixed(nemesis: &Nemesis) {
    let with_network = [
        Scenario::Kill,
        Scenario::LeaderKill,
        Scenario::PrimaryKill,
        Scenario::Pause,
        Scenario::Partition,
        Scenario::Delay,
    ];
    let count = if nemesis.network.is_some() { 6 } else { 4 };
    let drawn = nemesis.dice.lock().one_of(&with_network[..count]).copied();
    if let Some(scenario) = drawn {
        Box::pin(one(nemesis, scenario)).await;
    }
}

async fn partition(nemesis: &Nemesis) {
    let whom = match nemesis.between(0, 2) {
        0 => nemesis.primary().await,
        1 => nemesis.leader().await,
        _ => {
            let units = nemesis.stripe().await;
            nemesis.dice.lock().one_of(&units).copied()
        }
    };
    let ways = match nemesis.between(0, 3) {
        0 => Ways::In,
        1 => Ways::Out,
        _ => Ways::Both,
    };
    let clients_too = nemesis.between(0, 1) == 0;
    if let Some(process) = whom {
        let length = Duration::from_secs(4);
        nemesis.cut(process, ways, clients_too, length).await;
    }
}

/// Phases side by side, twice, because the machine has other things to do too.
async fn slow_unit(nemesis: &Nemesis) {
    let left = (nemesis.load.until - REST).saturating_duration_since(nemesis.env.now());
    let phase = left / 6;
    let by = Duration::from_millis(50);
    for _ in 0..2 {
        let mark = nemesis.begin("healthy".into());
        nemesis.env.sleep(phase).await;
        nemesis.end(mark);
        let units = nemesis.stripe().await;
        nemesis.delay(&units[..units.len().min(1)], by, phase).await;
        nemesis.delay(&units, by, phase).await;
    }
}
