//! What must hold when all clients are done and every process runs again.
use crate::client::{Client, all_paths};
use crate::cluster::{Cluster, address};
use crate::faults;
use crate::history::Asked;
use dfs_env::Env;
use dfs_fs::When;
use dfs_log::{ClusterLog, Event, Follow, SharedLog};
use dfs_rpc::roles::Connector;
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::v1::{admin_answer, admin_request};
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// Past states that are read whole, besides the last.
const PAST_STATES: u64 = 2;
/// Between two looks at replicas that have not folded everything yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const DIGEST_WITHIN_US: u64 = 30_000_000;

/// Every path, now and at some LSNs of the past, into the history.
pub(crate) async fn read_everything(client: &Client) {
    let (birth, told) = (client.birth_lsn, client.history.told_lsn());
    let past = (0..PAST_STATES).map(|_| When::Lsn(birth + client.world.below(told - birth + 1)));
    let moments: Vec<When> = past.chain([When::Head]).collect();
    for moment in moments {
        client.read("", moment, Asked::Settings).await;
        for path in all_paths() {
            for asked in [Asked::Stat, Asked::List, Asked::Bytes] {
                client.read(&path, moment, asked).await;
            }
        }
    }
}

/// All replicas have folded all that anybody was told of, to the same digest; and so has a refold.
pub(crate) async fn compare_replicas(
    cluster: &Cluster,
    env: &Env,
    connector: Arc<dyn Connector>,
    told_lsn: u64,
) -> Result<(), String> {
    let all = cluster.materializers();
    let (lsn, digest) = loop {
        let mut told = Vec::new();
        for name in all {
            told.extend(digest_of(&connector, name, 0).await.ok());
        }
        if told.len() == all.len()
            && told
                .iter()
                .all(|d| d.lsn == told[0].lsn && d.lsn >= told_lsn)
        {
            let (at, first) = (told[0].lsn, told[0].digest);
            if let Some(other) = told.iter().find(|other| other.digest != first) {
                let other = other.digest;
                return Err(format!(
                    "digests differ at LSN {at}: {first:016x}, {other:016x}"
                ));
            }
            break (at, first);
        }
        env.sleep(LOOK_EVERY).await;
    };
    let other = all[all.len() - 1];
    cluster
        .network
        .note(env, "digest", "both", &digest.to_le_bytes());
    let refolded = loop {
        match digest_of(&connector, other, lsn).await {
            Ok(refolded) => break refolded,
            // The question may have arrived twice, and one refold runs at a time.
            Err(refusal) if refusal.is_retryable() => env.sleep(LOOK_EVERY).await,
            Err(refusal) => return Err(format!("no refold up to LSN {lsn}: {refusal:?}")),
        }
    };
    if (refolded.lsn, refolded.digest) != (lsn, digest) {
        return Err(format!("a refold up to LSN {lsn} gives another digest"));
    }
    Ok(())
}

/// LOG-U1, LOG-U7: what a unit missed, or held damaged, it has fetched. That it ends is part of the verdict.
pub(crate) async fn units_are_whole(cluster: &Cluster, env: &Env) {
    for name in cluster.staying_units() {
        loop {
            let status = match cluster.unit(name) {
                Some((unit_id, role)) => role.status(v1::UnitStatusRequest { unit_id }).await.ok(),
                None => None,
            };
            let whole = |status: &v1::UnitStatusAnswer| {
                status.lanes_behind == 0 && status.bad_ranges.is_empty()
            };
            if status.as_ref().is_some_and(whole) {
                break;
            }
            env.sleep(LOOK_EVERY).await;
        }
    }
}

/// LOG.md §6: no change of voters stands half way, and every member has all that is agreed on. That it
/// ends is part of the verdict.
pub(crate) async fn group_is_settled(cluster: &Cluster, env: &Env, connector: Arc<dyn Connector>) {
    loop {
        let asked = admin_request::Op::GroupStatus(v1::GroupStatusRequest {});
        let answer = faults::ask(&connector, env, asked).await;
        if let Some(admin_answer::Answer::GroupStatus(status)) = answer {
            let there = |member: &v1::GroupMember| {
                member.live && member.is_voter && member.applied_index >= status.committed_index
            };
            let enough = status.group.len() >= cluster.sequencers.len();
            if status.role == "leader" && !status.joint && enough && status.group.iter().all(there)
            {
                return;
            }
        }
        env.sleep(LOOK_EVERY).await;
    }
}

/// LOG.md §8: everything that the sequencer has not trimmed can be read, each LSN once.
///
/// The log's last time.
pub(crate) async fn log_is_whole(cluster: &Cluster, env: &Env) -> Result<u64, String> {
    let connector = cluster.outsider(env, "judge");
    let log = ClusterLog::open(env.clone(), connector, v1::Owner::default());
    let told = |refusal: Refusal| format!("the log cannot be read: {refusal:?}");
    loop {
        let history = log.history().await.map_err(told)?;
        let pins = history.pins.iter().map(|pin| pin.lsn);
        let (from, lowest) = (history.trim_lsn.max(1), pins.min().unwrap_or(u64::MAX));
        if history.trim_lsn > lowest {
            return Err(format!("LOG-I11: trimmed to {from}, pinned at {lowest}"));
        }
        match read_log(&*log, from, history.next_lsn).await {
            Err(refusal) if refusal.code() == Code::Trimmed => {
                let now = log.history().await.map_err(told)?.trim_lsn;
                if now == history.trim_lsn {
                    return Err(told(refusal));
                }
            }
            read => {
                read.map_err(told)?;
                return log.end(true).await.map(|end| end.log_time_us).map_err(told);
            }
        }
    }
}

async fn read_log(log: &dyn SharedLog, from: u64, end: u64) -> Result<(), Refusal> {
    let mut follower = log.follow(from, Follow::default()).await?;
    let mut next = from;
    while next < end {
        for event in follower.next().await?.events {
            let Event::Frame(at) = event else { continue };
            // The first may begin below.
            if at.first_lsn > next || (at.first_lsn < next && next > from) {
                let why = format!("after LSN {next} comes {}", at.first_lsn);
                return Err(Refusal::new(Code::Lost, "the log", why));
            }
            next = at.last_lsn() + 1;
        }
    }
    Ok(())
}

pub(crate) async fn digest_of(
    connector: &Arc<dyn Connector>,
    name: &str,
    at_lsn: u64,
) -> Result<v1::DigestAnswer, Refusal> {
    let role = connector.materializer(&address(name)).await?;
    let request = v1::Request {
        id: 1,
        deadline_us: DIGEST_WITHIN_US,
        op: Some(Op::Digest(v1::DigestRequest { at_lsn })),
        ..v1::Request::default()
    };
    let requests = vec![request];
    let asked = stream::once(ready(v1::RequestBatch { requests })).chain(stream::pending());
    let mut answers = role.requests(asked.boxed()).await?;
    let odd = || Refusal::new(Code::Unavailable, "a digest", "no answer");
    let batch = answers.next().await.ok_or_else(odd)??;
    match batch.answers.into_iter().find_map(|answer| answer.body) {
        Some(Body::Digest(digest)) => Ok(digest),
        Some(Body::Refusal(refusal)) => Err(refusal.into()),
        _ => Err(odd()),
    }
}
