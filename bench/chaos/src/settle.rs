//! Waits until all is well: everybody runs, lives, has folded to the end, and agrees.
use crate::cluster::{Cluster, Role};
use dfs_env::Env;
use dfs_fs::{Fs, Status};
use dfs_wire::v1::UnitState;
use std::time::Duration;

/// A cluster that has been healed is well by then, on a machine that has other things to do too.
const WELL_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The state that all materializers agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) lsn: u64,
    pub(crate) digest: u64,
    pub(crate) seconds: f64,
}

/// Whether something is still being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calm {
    /// The load goes on: everybody lives and nothing is damaged.
    Busy,
    /// The load is over: also, everything is everywhere where it belongs.
    Quiet,
}

/// Everybody lives, nothing is damaged; and, when it is quiet, all agree. Else why it does not become so.
pub(crate) async fn settle(
    env: &Env,
    fs: &Fs,
    cluster: &Cluster,
    calm: Calm,
) -> Result<Settled, String> {
    let start = env.now();
    loop {
        let found = match fs.status().await {
            Ok(status) => well(&status, cluster, calm),
            Err(refusal) => Err(format!("no status: {refusal}")),
        };
        let waited = env.now() - start;
        match found {
            Ok((lsn, digest)) => {
                let seconds = waited.as_secs_f64();
                return Ok(Settled {
                    lsn,
                    digest,
                    seconds,
                });
            }
            Err(ill) if waited > WELL_WITHIN => return Err(ill),
            Err(_) => env.sleep(LOOK_EVERY).await,
        }
    }
}

fn well(status: &Status, cluster: &Cluster, calm: Calm) -> Result<(u64, u64), String> {
    listed(status, cluster)?;
    units_are_well(status, calm)?;
    if calm == Calm::Quiet {
        stripes_are_whole(status, cluster.copies())?;
    }
    agreed(status, calm)
}

fn listed(status: &Status, cluster: &Cluster) -> Result<(), String> {
    let sequencer = &status.sequencer;
    for process in cluster.members() {
        let mut members = sequencer.members.iter().flat_map(|it| &it.members);
        let there = match process.role {
            Role::Sequencer => sequencer.voter_addresses.contains(&process.address),
            _ => members.any(|it| it.address == process.address && !it.gone),
        };
        if !there {
            return Err(format!("{} is not listed as alive", process.name));
        }
    }
    Ok(())
}

/// Those that belong to it: a removed one stays in the list as dead.
fn units_are_well(status: &Status, calm: Calm) -> Result<(), String> {
    for (unit, answer) in &status.units {
        let id = unit.unit_id;
        if unit.state() == UnitState::Dead {
            continue;
        }
        let answer = match answer {
            Ok(answer) if unit.live => answer,
            Ok(_) => return Err(format!("unit {id} is away")),
            Err(refusal) => return Err(format!("unit {id}: {refusal}")),
        };
        if !answer.bad_ranges.is_empty() {
            return Err(format!("unit {id} is damaged: {:?}", answer.bad_ranges));
        }
        if calm == Calm::Quiet && answer.lanes_behind > 0 {
            let (lanes, records) = (answer.lanes_behind, answer.records_behind);
            return Err(format!(
                "unit {id} lacks {records} records of {lanes} lanes"
            ));
        }
    }
    Ok(())
}

/// Nothing of the log is held by fewer units than it should be.
fn stripes_are_whole(status: &Status, copies: usize) -> Result<(), String> {
    let is_kept = |unit: &u64| {
        let mut units = status.units.iter().map(|(unit, _)| unit);
        units.any(|it| it.unit_id == *unit && it.state() == UnitState::Active)
    };
    let history = status.sequencer.history.as_ref();
    let trim_lsn = history.map_or(0, |history| history.trim_lsn);
    for stripe in status.sequencer.stripes.iter().filter(|it| it.closed) {
        let holds_records = stripe.last_lsn >= stripe.first_lsn.max(trim_lsn);
        let kept = stripe.locations.iter().filter(|it| is_kept(it)).count();
        if holds_records && kept < copies {
            let id = stripe.stripe;
            return Err(format!("closed stripe {id} lies on {kept} of {copies}"));
        }
    }
    Ok(())
}

/// What the materializers have folded, and its digest; the same of all, to the end, when it is quiet.
fn agreed(status: &Status, calm: Calm) -> Result<(u64, u64), String> {
    let last = status.sequencer.next_lsn.saturating_sub(1);
    let mut digests = Vec::new();
    let mut primaries = 0;
    for (member, answer) in &status.materializers {
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Err(format!("materializer {}: {refusal}", member.node_id)),
        };
        if !answer.halted.is_empty() {
            return Err(format!(
                "materializer {} halted: {}",
                member.node_id, answer.halted
            ));
        }
        primaries += usize::from(answer.role == "primary");
        digests.push((answer.applied_lsn, answer.digest));
    }
    if primaries != 1 {
        return Err(format!("{primaries} materializers say they are primary"));
    }
    match digests.first() {
        Some(first) if calm == Calm::Busy => Ok(*first),
        Some(first) if first.0 == last && digests.iter().all(|other| other == first) => Ok(*first),
        _ => Err(format!(
            "the log ends at {last}; (applied, digest): {digests:x?}"
        )),
    }
}
