//! Before a cluster is founded, all its founders get to know each other.
use super::{seat_one, voters};
use crate::board::Board;
use crate::raft::Group;
use crate::raft::standing::Standing;
use dfs_env::Env;
use openraft::async_runtime::WatchReceiver;
use std::time::Duration;
use tracing::warn;

/// How often it is said who is missing.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Between two looks: answers to heartbeats come as often.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Until the seat of every founder lies in the journal of every founder. One that knows too little would
/// take one that was emptied for the one it was, and the two could found another cluster (LOG.md §6).
///
/// False: this voter leads no more.
pub(super) async fn acquaint(env: &Env, group: &Group, board: &Board, standing: &Standing) -> bool {
    let mut told = env.now();
    loop {
        let founders = voters(group);
        if founders.len() < 2 {
            return true;
        }
        if !seat_one(group, standing, founders.clone())
            .await
            .unwrap_or(true)
        {
            return false;
        }
        let missing = missing(group, board, founders);
        if missing.is_empty() {
            return true;
        }
        if env.now() - told > TELL_EVERY {
            told = env.now();
            warn!("the cluster is not founded yet: voters {missing:?} have not answered");
        }
        env.sleep(LOOK_EVERY).await;
    }
}

/// Founders that nobody knows yet, or that do not know all.
fn missing(group: &Group, board: &Board, founders: Vec<u64>) -> Vec<u64> {
    let seated = |voter: &u64| board.with(|seen| seen.order.seats.contains_key(voter));
    let unseated: Vec<u64> = founders.iter().copied().filter(|v| !seated(v)).collect();
    if !unseated.is_empty() {
        return unseated;
    }
    let metrics = group.metrics();
    let metrics = metrics.borrow_watched();
    // All seats are applied here: they lie at or below this.
    let applied = metrics.last_applied;
    let replication = metrics.replication.as_ref();
    let knows = |voter: &u64| {
        let durable = replication.and_then(|all| all.get(voter));
        applied.is_some() && durable.is_some_and(|durable| *durable >= applied)
    };
    founders.into_iter().filter(|voter| !knows(voter)).collect()
}
