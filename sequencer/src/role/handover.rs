//! Leadership is handed over before a leader stops: nobody has to notice that it is gone.
use crate::board::Board;
use crate::raft::Group;
use dfs_env::Env;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use std::time::Duration;

/// Longer than an election takes; then the others find out by themselves.
const WITHIN: Duration = Duration::from_millis(600);
/// One offer may be refused, because the other one still syncs what it must have.
const OFFER_EVERY: Duration = Duration::from_millis(50);

/// Returns when another one leads, or nobody takes it.
pub(super) async fn hand_over(env: &Env, group: &Group, board: &Board) {
    if board.with(|seen| seen.leads) {
        hand_over_to(env, group, 0).await;
    }
}

/// To this voter; 0: to any.
pub(super) async fn hand_over_to(env: &Env, group: &Group, to: u64) {
    let offering = async {
        while let Some(most) = next_leader(group) {
            let to = if to == 0 { most } else { to };
            if group.trigger().transfer_leader(to).await.is_err() {
                return;
            }
            env.sleep(OFFER_EVERY).await;
        }
    };
    let mut metrics = group.server_metrics();
    let handed = async {
        while metrics.borrow_watched().state == ServerState::Leader {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    };
    let either = async {
        tokio::select! {
            biased;
            () = handed => {}
            () = offering => {}
        }
    };
    if env.timeout(WITHIN, either).await.is_err() {
        tracing::info!("nobody took the leadership over in time");
    }
}

/// Of the other voters, the one that has most.
fn next_leader(group: &Group) -> Option<u64> {
    let metrics = group.metrics();
    let metrics = metrics.borrow_watched();
    if metrics.state != ServerState::Leader {
        return None;
    }
    let replication = metrics.replication.as_ref()?;
    let others = metrics
        .membership_config
        .voter_ids()
        .filter(|voter| *voter != metrics.id);
    others.max_by_key(|voter| replication.get(voter).cloned().flatten())
}
