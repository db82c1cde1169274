//! The scenarios: which faults follow one another, drawn from the seed, until the time is over.
use crate::cluster::{Process, Role};
use crate::faults::{Nemesis, Ways};
use clap::ValueEnum;
use std::time::Duration;
use tokio::time::Instant;

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
    /// In turn, every 6 s: the leading sequencer and a materializer cut off together for 3 s, with clients at
    /// their side; the primary or the leading sequencer paused. Beside it, as many reads as are answered (E6).
    /// Needs root
    StaleReads,
    /// A random process 10 to 300 ms away for 4 s, every 6 s (F161). Needs root
    Delay,
    /// Healthy, one unit of the stripe +50 ms, all its units +50 ms, in turn (E5). Needs root
    SlowUnit,
    /// Power lost by one process or by all at once, every 6 s: what was not synced is gone. Needs root
    PowerLoss,
    /// SIGKILL of a log unit or a sequencer, a sector of its log or journal flipped or zeroed meanwhile, every 6 s (E4)
    Damage,
    /// Every sequencer, log unit and materializer exchanged for another, by the commands for it (E13)
    Replace,
    /// Kill, leader-kill, primary-kill, pause, partition and delay by chance, every 5 s
    Mixed,
}

impl Scenario {
    pub(crate) fn needs_network(self) -> bool {
        matches!(
            self,
            Scenario::Partition | Scenario::StaleReads | Scenario::Delay | Scenario::SlowUnit
        )
    }

    /// At least as many, and as many unless told otherwise.
    pub(crate) fn sequencers(self) -> usize {
        match self {
            Scenario::StaleReads => 3,
            _ => 1,
        }
    }

    pub(crate) fn readers(self) -> u64 {
        match self {
            Scenario::StaleReads => 96,
            _ => 0,
        }
    }

    /// All on loopback: a process in a namespace of its own would hold the other ones' disks.
    pub(crate) fn needs_disks(self) -> bool {
        self == Scenario::PowerLoss
    }

    pub(crate) fn needs_spares(self) -> bool {
        self == Scenario::Replace
    }

    /// No file is larger than a record: extents do not move to other units yet.
    pub(crate) fn is_inline(self) -> bool {
        self == Scenario::Replace
    }

    /// What processes say of what is done here, and rightly call an error.
    pub(crate) fn expects(self) -> Option<&'static str> {
        (self == Scenario::Damage).then_some("open the log: damage")
    }

    fn every(self) -> Duration {
        Duration::from_secs(match self {
            Scenario::Healthy | Scenario::SlowUnit | Scenario::Replace => 1,
            Scenario::LeaderKill => 2,
            Scenario::PrimaryKill => 4,
            Scenario::Kill | Scenario::Mixed => 5,
            Scenario::StaleReads | Scenario::Delay | Scenario::PowerLoss | Scenario::Damage => 6,
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
    match scenario {
        Scenario::SlowUnit => return slow_unit(nemesis).await,
        Scenario::Replace => return replace(nemesis, until).await,
        _ => {}
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
        Scenario::Healthy | Scenario::SlowUnit | Scenario::Replace => nemesis.look_for_ended(),
        Scenario::PowerLoss => power_loss(nemesis).await,
        Scenario::Damage => damage(nemesis).await,
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
        Scenario::StaleReads => stale_reads(nemesis).await,
        Scenario::Delay => {
            let by = Duration::from_millis(nemesis.between(10, 300));
            if let Some(process) = nemesis.random() {
                nemesis.delay(&[process], by, Duration::from_secs(4)).await;
            }
        }
        Scenario::Mixed => mixed(nemesis).await,
    }
}

async fn power_loss(nemesis: &Nemesis) {
    let down = Duration::from_millis(nemesis.between(0, 1_000));
    let whom: Vec<&Process> = match nemesis.between(0, 1) {
        0 => nemesis.cluster.members().collect(),
        _ => nemesis.random().into_iter().collect(),
    };
    nemesis.lose_power(&whom, down).await;
}

async fn damage(nemesis: &Nemesis) {
    let role = match nemesis.between(0, 2) {
        0 => Role::Sequencer,
        _ => Role::Unit,
    };
    let of_role = nemesis.cluster.of(role);
    let drawn = nemesis.dice.lock().one_of(&of_role).copied();
    if let Some(process) = drawn {
        nemesis.damage(process).await;
    }
}

/// One after the other, each when the one before it is done.
async fn replace(nemesis: &Nemesis, until: Instant) {
    let founders: Vec<&Process> = nemesis.cluster.members().collect();
    let total = founders.len();
    let mut left = founders.into_iter();
    while nemesis.env.now() < until {
        nemesis.look_for_ended();
        let Some(old) = left.next() else { break };
        nemesis.replace(old).await;
    }
    if left.len() > 0 {
        let what = format!("{} of {total} were not replaced in time", left.len());
        nemesis.unasked.lock().push(what);
    }
    let rest = until.saturating_duration_since(nemesis.env.now());
    nemesis.env.sleep(rest).await;
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

/// Whoever was deposed must not answer: neither while it does not know it nor when it wakes up.
async fn stale_reads(nemesis: &Nemesis) {
    let turn = nemesis.marks.lock().len();
    let pause = Duration::from_millis(nemesis.between(1_500, 3_500));
    let whom = match turn % 4 {
        1 => nemesis.primary().await,
        3 => nemesis.leader().await,
        _ => {
            let of_role = nemesis.cluster.of(Role::Materializer);
            let beside = nemesis.dice.lock().one_of(&of_role).copied();
            let side: Vec<&Process> = nemesis.leader().await.into_iter().chain(beside).collect();
            return nemesis.cut_apart(&side, Duration::from_secs(3)).await;
        }
    };
    if let Some(process) = whom {
        nemesis.pause(process, pause).await;
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
