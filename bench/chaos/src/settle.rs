//! Waits until all is well: everybody runs, lives, has folded to the end, and agrees.
use crate::cluster::Cluster;
use dfs_env::Env;
use dfs_fs::{Fs, Status};
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

/// Why it is not well, if it does not become so.
pub(crate) async fn settle(env: &Env, fs: &Fs, cluster: &Cluster) -> Result<Settled, String> {
    let start = env.now();
    loop {
        let ill = match fs.status().await {
            Ok(status) => match agreed(&status, cluster) {
                Ok((lsn, digest)) => {
                    let seconds = (env.now() - start).as_secs_f64();
                    return Ok(Settled {
                        lsn,
                        digest,
                        seconds,
                    });
                }
                Err(ill) => ill,
            },
            Err(refusal) => format!("no status: {refusal}"),
        };
        if env.now() - start > WELL_WITHIN {
            return Err(ill);
        }
        env.sleep(LOOK_EVERY).await;
    }
}

fn agreed(status: &Status, cluster: &Cluster) -> Result<(u64, u64), String> {
    let last = status.sequencer.next_lsn.saturating_sub(1);
    for process in &cluster.processes {
        let there = status
            .sequencer
            .members
            .iter()
            .flat_map(|members| &members.members)
            .any(|member| member.address == process.address && !member.gone);
        if !there && process.role != crate::cluster::Role::Sequencer {
            return Err(format!("{} is not listed as alive", process.name));
        }
    }
    for (unit, answer) in &status.units {
        match answer {
            Ok(_) if unit.live => {}
            Ok(_) => return Err(format!("unit {} is away", unit.unit_id)),
            Err(refusal) => return Err(format!("unit {}: {refusal}", unit.unit_id)),
        }
    }
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
        Some(first) if first.0 == last && digests.iter().all(|other| other == first) => Ok(*first),
        _ => Err(format!(
            "the log ends at {last}; (applied, digest): {digests:x?}"
        )),
    }
}
