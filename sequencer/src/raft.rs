//! The Raft group under the order: openraft, its journal, its snapshots, its view of time and tasks.
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod machine;
mod peers;
mod record;
mod runtime;
mod snapshot;
pub(crate) mod standing;
mod tape;
pub(crate) mod wire;

use crate::board::Board;
use crate::config::SequencerConfig;
use crate::order::Outcome;
use crate::order::command::Command;
use crate::raft::journal::Journal;
use crate::raft::machine::Machine;
use crate::raft::peers::Peers;
use crate::raft::snapshot::Snapshots;
use crate::raft::standing::Standing;
use dfs_env::{Disk, Env};
use dfs_rpc::roles::PeerConnector;
use openraft::{BasicNode, Config, SnapshotPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

openraft::declare_raft_types!(
    /// What this Raft group is made of.
    pub(crate) Types:
        D = Command,
        R = Outcome,
        AsyncRuntime = runtime::EnvRuntime,
);

pub(crate) type Group = openraft::Raft<Types, Machine>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, openraft::BasicNode>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;

/// LOG.md §6: elections take 150 to 300 ms.
const HEARTBEAT_MS: u64 = 50;
/// Of the entries between two snapshots, this part is kept below the newest one, for a follower that is
/// a little behind.
const KEPT_PART: u64 = 10;

/// For a snapshot to arrive and be synced: they are small, disks may be slow.
const SNAPSHOT_MS: u64 = 20_000;
/// Entries in one message: a cut of many lanes is some 100 KiB, a message at most 16 MiB.
const ENTRIES_PER_MESSAGE: u64 = 64;
/// Between tries to reach a voter that is away: it is not to wait long once it is back.
const BACKOFF: &str = "50ms 100ms ...200ms";

/// A voter's part in the group.
pub(crate) struct Started {
    pub(crate) group: Group,
    pub(crate) journal: Journal,
    pub(crate) standing: Arc<Standing>,
}

/// Opens journal and snapshot, and starts this voter's part in the group.
pub(crate) async fn start(
    env: &Env,
    disk: Arc<dyn Disk>,
    board: Arc<Board>,
    connector: Arc<dyn PeerConnector>,
    told: &SequencerConfig,
) -> io::Result<Started> {
    let identity = standing::identify(env, &*disk, told).await?;
    let journal = Journal::open(env, disk.clone(), told.segment_bytes).await?;
    let standing = Standing::new(&identity, board.clone(), journal.clone(), told)?;
    let machine = Machine::open(Snapshots::new(disk), board).await?;
    let voters = match journal.membership() {
        Some(membership) => membership.voter_ids().collect(),
        None => machine.voters(),
    };
    let alone =
        voters.is_empty() && told.voters.len() == 1 || voters == BTreeSet::from([told.voter]);
    if alone && machine.last_index() > journal.last_index() {
        // Nobody else has what the journal lost.
        return Err(journal::invalid(
            "the journal ends before the snapshot: a part of it is gone",
        ));
    }
    let peers = Peers::new(env.clone(), connector, standing.clone());
    let group = Group::new(told.voter, config(told)?, peers, journal.clone(), machine)
        .await
        .map_err(|e| io::Error::other(e.to_string()))?;
    let fatal = |e: &dyn std::fmt::Display| io::Error::other(e.to_string());
    let begun = group.is_initialized().await.map_err(|e| fatal(&e))?;
    // One founder begins, so that no others campaign against it: the last, since those of one process
    // are opened in this order.
    let begins = told.voters.keys().last() == Some(&told.voter);
    if !begun && begins {
        let nodes: BTreeMap<u64, BasicNode> = told
            .voters
            .iter()
            .map(|(id, address)| (*id, BasicNode::new(address)))
            .collect();
        group.initialize(nodes).await.map_err(|e| fatal(&e))?;
    } else if begun && alone {
        // Nobody else could be leader: no need to wait for an election time-out.
        group.trigger().elect(false).await.map_err(|e| fatal(&e))?;
    }
    Ok(Started {
        group,
        journal,
        standing,
    })
}

fn config(told: &SequencerConfig) -> io::Result<Arc<Config>> {
    let snapshot_every = told.snapshot_every;
    let kept = (snapshot_every / KEPT_PART).max(1);
    let config = Config {
        cluster_name: "dfs".into(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: 3 * HEARTBEAT_MS,
        election_timeout_max: 6 * HEARTBEAT_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_every),
        max_in_snapshot_log_to_keep: kept,
        purge_batch_size: kept,
        install_snapshot_timeout: SNAPSHOT_MS,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        backoff: BACKOFF.into(),
        // A leader that restarts inside its own term may use a log id twice: an acknowledged cut was
        // lost that way.
        enable_leader_restore: Some(false),
        // A voter that was cut off must not depose a healthy leader when it comes back.
        enable_pre_vote: Some(true),
        ..Config::default()
    };
    Ok(Arc::new(config.validate().map_err(io::Error::other)?))
}
