//! What is done to a cluster, in this order, and the alerts that have to fire then, and clear after it is healed.

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sequencer that leads is killed.
    LeaderKilled,
    /// A follower stands still.
    FollowerPaused,
    /// Most sequencers are killed.
    MostSequencersKilled,
    /// Whoever leads is killed and started again, several times.
    LeadersKilledInTurn,
    /// A materializer is killed and started again, several times.
    ProcessRestartedOften,
    /// A unit stands still.
    UnitPaused,
    /// So many units are killed that an append has too few.
    MostUnitsKilled,
    /// All units but one stand still for seconds, again and again.
    UnitsStall,
    /// The disk of one unit, a small one of its own, is filled to the brim.
    DiskFilled,
    /// The replica stands still.
    ReplicaPaused,
    /// Both materializers are killed.
    MaterializersKilled,
    /// A stand-in tells of what no healthy build does on purpose: halted roles, damage, slow disks, partitions.
    ToldByStandIn,
}

pub struct Scenario {
    pub fault: Fault,
    /// As a report has it.
    pub name: &'static str,
    pub fires: &'static [&'static str],
}

const fn scenario(fault: Fault, name: &'static str, fires: &'static [&'static str]) -> Scenario {
    Scenario { fault, name, fires }
}

#[rustfmt::skip]
pub const SCENARIOS: &[Scenario] = &[
    scenario(Fault::LeaderKilled, "the leading sequencer is killed", &["DfsNodeDown", "DfsVoterSilent"]),
    scenario(Fault::ToldByStandIn, "told by a stand-in", &[
        "DfsFoldHalted", "DfsDigestsDiffer", "DfsSequencerHalted", "DfsDamage", "DfsFsyncSlow", "DfsQueueFull",
        "DfsOpenFiles", "DfsMemoryLow", "DfsVersionsDiffer", "DfsMemberCutOff", "DfsFilesUnderReplicated",
    ]),
    scenario(Fault::UnitPaused, "a unit stands still", &["DfsUnitAway", "DfsLogUnderReplicated"]),
    scenario(Fault::ReplicaPaused, "a materializer stands still", &["DfsReplicaLag"]),
    scenario(Fault::DiskFilled, "the disk of a unit is full", &["DfsDiskSpaceLow", "DfsUnitFull"]),
    scenario(Fault::FollowerPaused, "a follower stands still", &["DfsFollowerLag"]),
    scenario(Fault::UnitsStall, "units stall again and again", &["DfsLatencyHigh"]),
    scenario(Fault::LeadersKilledInTurn, "leaders are killed in turn", &["DfsElections"]),
    scenario(Fault::ProcessRestartedOften, "a process is started often", &["DfsRestarts"]),
    scenario(Fault::MostUnitsKilled, "most units are killed", &["DfsWritesBlocked"]),
    scenario(Fault::MostSequencersKilled, "most sequencers are killed", &["DfsNoLeader"]),
    scenario(Fault::MaterializersKilled, "both materializers are killed", &["DfsNoPrimary", "DfsErrorBudgetBurn"]),
];

/// What a fault leaves behind for good: extents that were placed while a unit was away do not move yet, so
/// their files stay short of a copy. It clears where it is told by the stand-in, before any unit is hurt.
pub const STAYS: &[&str] = &["DfsFilesUnderReplicated"];

/// Those of a short run.
const QUICK: usize = 2;

/// Those that have to fire one of these alerts; none named: all, or those of a short run.
pub fn chosen(quick: bool, only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let fires = |alert: &String| {
        let mut all = SCENARIOS.iter();
        all.any(|scenario| scenario.fires.contains(&alert.as_str()))
    };
    if let Some(alert) = only.iter().find(|alert| !fires(alert)) {
        return Err(format!("no fault fires {alert}"));
    }
    let count = if quick { QUICK } else { SCENARIOS.len() };
    let is_named = |scenario: &&Scenario| {
        let mut named = only.iter();
        named.any(|alert| scenario.fires.contains(&alert.as_str()))
    };
    Ok(match only.is_empty() {
        true => SCENARIOS[..count].iter().collect(),
        false => SCENARIOS.iter().filter(is_named).collect(),
    })
}

/// What the stand-in exports while it tells; counters grow by `(name and labels, per second)`.
#[rustfmt::skip]
pub const STAND_IN: (&[&str], &[(&str, f64)]) = (
    &[
        "dfs_materializer_halted{node=\"99\"} 1",
        "dfs_materializer_doubted{node=\"99\"} 1",
        "dfs_sequencer_halted{voter=\"99\"} 1",
        "dfs_sequencer_member_gone{voter=\"99\",node=\"99\"} 1",
        "dfs_unit_bad_ranges{unit=\"99\"} 1",
        "dfs_unit_damaged_extents{unit=\"99\"} 0",
        "dfs_unit_damage_nameless{unit=\"99\"} 0",
        "dfs_unit_queue_depth{unit=\"99\",queue=\"orders\"} 64",
        "dfs_unit_queue_bound{unit=\"99\",queue=\"orders\"} 64",
        "dfs_materializer_groups_short{node=\"99\"} 2",
        "dfs_node_info{node=\"99\",version=\"0.0.9\",roles=\"unit\"} 1",
        "dfs_node_open_files{node=\"99\"} 900",
        "dfs_node_open_files_max{node=\"99\"} 1000",
        "dfs_node_memory_total_bytes{node=\"99\"} 100",
        "dfs_node_memory_available_bytes{node=\"99\"} 1",
    ],
    &[
        ("dfs_unit_fsync_seconds_sum{unit=\"99\",of=\"log\"}", 0.9),
        ("dfs_unit_fsync_seconds_count{unit=\"99\",of=\"log\"}", 3.0),
        ("dfs_materializer_digests_differ_total{node=\"99\"}", 1.0),
    ],
);
