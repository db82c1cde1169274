//! The leader's loops: cuts, the seats of voters, and the watch over the silent.
mod acquaint;

use crate::admin::is_joint;
use crate::board::{Board, Seen};
use crate::membership::placement::Redundancy;
use crate::membership::pulses::STALL_US;
use crate::order::command::{Found, Kind, ProposedCut, SeatVoter, Trim};
use crate::raft::Group;
use crate::raft::standing::Standing;
use acquaint::acquaint;
use dfs_env::Env;
use dfs_rpc::trace::Span;
use openraft::async_runtime::WatchReceiver;
use openraft::{ChangeMembers, Instant, ReadPolicy, ServerState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, error, info};

/// How often the silent are looked for: a member is gone after 500 to 600 ms of silence.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// Before leadership is asserted again, when that failed.
const ASSERT_AGAIN: Duration = Duration::from_millis(50);
/// How often a leader looks whether most voters still answer …
const QUORUM_EVERY: Duration = Duration::from_millis(100);
/// … and how long it leads on when they do not: by then they may have elected another.
const QUORUM_LOST: Duration = Duration::from_millis(600);

/// Follows the group's elections: leads while it is the leader. Returns when the group has stopped.
pub(crate) async fn follow(env: Env, group: Group, board: Arc<Board>, standing: Arc<Standing>) {
    if group.wait_for_recovery(None).await.is_err() {
        return;
    }
    board.with(|seen| seen.recovered = true);
    let mut metrics = group.server_metrics();
    loop {
        let leads = metrics.borrow_watched().state == ServerState::Leader;
        if leads {
            tokio::select! {
                biased;
                () = deposed(&group) => {}
                () = lead(&env, &group, &board, &standing) => {}
            }
            board.lead(false);
            if let Err(refusal) = board.sound() {
                // Its heartbeats go on, so that no other voter of the same past papers it over either.
                error!(%refusal, "no cut is made any more");
                return;
            }
            if group.metrics().borrow_watched().running_state.is_err() {
                return;
            }
            env.sleep(ASSERT_AGAIN).await;
        } else if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Until this voter knows that it leads no more: an idle leader proposes nothing that could tell it.
async fn deposed(group: &Group) {
    let mut metrics = group.server_metrics();
    while metrics.borrow_watched().state == ServerState::Leader {
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Until a proposal or an assertion fails: then this voter leads no more, or cannot know it.
async fn lead(env: &Env, group: &Group, board: &Board, standing: &Standing) {
    // Applies everything before this term, so the first cut stands on all earlier ones.
    if let Err(e) = group.ensure_linearizable(ReadPolicy::ReadIndex).await {
        debug!("leadership cannot be asserted yet: {e}");
        return;
    }
    if board.with(|seen| seen.order.cluster_id.is_empty()) {
        if !acquaint(env, group, board, standing).await {
            return;
        }
        let cluster_id = env.random_u128().to_be_bytes().to_vec();
        if let Err(e) = group
            .client_write(Kind::Found(Found { cluster_id }).into())
            .await
        {
            debug!("the cluster cannot be founded yet: {e}");
            return;
        }
    }
    board.lead(true);
    tokio::select! {
        biased;
        () = board.condemned.notified() => {}
        () = cut(group, board) => {}
        () = carry_out(group, board) => {}
        () = seat(group, standing) => {}
        () = settle(env, group) => {}
        () = lose_quorum(env, group) => info!("most voters do not answer: this one leads no more"),
    }
}

/// A change of voters whose leader went away half way is brought to its end.
async fn settle(env: &Env, group: &Group) {
    loop {
        let membership = group
            .server_metrics()
            .borrow_watched()
            .membership_config
            .clone();
        if !is_joint(membership.membership()) {
            return std::future::pending().await;
        }
        let on = ChangeMembers::AddVoterIds(BTreeSet::new());
        if let Err(e) = group.change_membership(on, true).await {
            debug!("a change of voters cannot be ended yet: {e}");
        }
        env.sleep(ASSERT_AGAIN).await;
    }
}

fn voters(group: &Group) -> Vec<u64> {
    let metrics = group.server_metrics();
    let membership = metrics.borrow_watched().membership_config.clone();
    membership.voter_ids().collect()
}

/// Notes whose directory each voter keeps its votes in. A voter that is alone needs no seat.
async fn seat(group: &Group, standing: &Standing) {
    loop {
        let voters = voters(group);
        let seated = match voters.len() > 1 {
            true => seat_one(group, standing, voters).await,
            false => None,
        };
        match seated {
            Some(true) => {}
            Some(false) => return,
            None => standing.learnt.notified().await,
        }
    }
}

/// None: no voter is known that has no seat. False: this voter leads no more.
async fn seat_one(group: &Group, standing: &Standing, voters: Vec<u64>) -> Option<bool> {
    let (voter, nonce) = standing.unseated(voters)?;
    let nonce = nonce.to_vec();
    let seat = Kind::SeatVoter(SeatVoter { voter, nonce });
    let written = group.client_write(seat.into()).await;
    if let Err(e) = &written {
        debug!("a voter has no seat yet: {e}");
    }
    Some(written.is_ok())
}

/// openraft goes on as leader when it is cut off. Who speaks with it must look for the other one.
async fn lose_quorum(env: &Env, group: &Group) {
    let mut missed = 0;
    let mut metrics = group.server_metrics();
    loop {
        while voters(group).len() < 2 {
            if metrics.changed().await.is_err() {
                return;
            }
        }
        env.sleep(QUORUM_EVERY).await;
        let acked = group.metrics().borrow_watched().last_quorum_acked;
        let late = acked.is_none_or(|acked| acked.elapsed() > QUORUM_LOST);
        // Once more: this process may have stood still itself.
        missed = if late { missed + 1 } else { 0 };
        if missed > 1 {
            return;
        }
    }
}

/// Seals and closes what the watches have found lost (LOG-D5, LOG-D6).
async fn carry_out(group: &Group, board: &Board) {
    loop {
        board.judged.notified().await;
        while let Some(kind) = board.with(|seen| seen.verdicts.pop_front()) {
            info!("propose: {kind:?}");
            if let Err(e) = group.client_write(kind.into()).await {
                debug!("a verdict was not taken: {e}");
                return;
            }
        }
    }
}

/// LOG-D3: one cut in flight; the next when it is applied and something has advanced. No timers.
async fn cut(group: &Group, board: &Board) {
    loop {
        while let Some(proposed) = next(board) {
            let (kind, spans) = proposed;
            let written = group.client_write(kind.into()).await;
            drop(spans);
            if let Err(e) = written {
                debug!("a cut was not taken: {e}");
                return;
            }
        }
        board.stirred.notified().await;
    }
}

/// With the spans of the sampled requests whose records it cuts.
fn next(board: &Board) -> Option<(Kind, Vec<Span>)> {
    if let Some(trim) = next_trim(board) {
        return Some((Kind::Trim(trim), Vec::new()));
    }
    let cut = next_cut(board)?;
    let spans = board.with(|seen| seen.traced.proposed(board.env(), &cut.ends));
    Some((Kind::Cut(cut), spans))
}

/// As far as pins allow; once done, there is nothing more until a pin moves (LOG.md §8).
fn next_trim(board: &Board) -> Option<Trim> {
    let order = |seen: &mut Seen| (seen.order.trim_bound(), seen.order.history.trim_lsn);
    let (lsn, trimmed) = board.with(order);
    (lsn > trimmed.max(1)).then_some(Trim { lsn })
}

fn next_cut(board: &Board) -> Option<ProposedCut> {
    board.with(|seen| {
        let log_time_us = board.clock_us(seen);
        let proposal = seen.holdings.propose(&seen.order, seen.set_aside_from)?;
        let forget_through = proposal.forget_through;
        Some(ProposedCut {
            ends: proposal.ends,
            log_time_us,
            forget_through,
            waits: proposal.waits,
        })
    })
}

/// Space and progress of members are told at most this often, in watches.
const TELL_EVERY: u32 = 10;

/// LOG-D5: marks who has been silent for too long. Rests while nobody beats.
pub(crate) async fn watch_silence(env: Env, board: Arc<Board>, redundancy: Redundancy) {
    let mut before_us = board.now_us();
    let mut watches = 0_u32;
    loop {
        if !board.with(|seen| seen.pulses.any_beating()) {
            board.woken.notified().await;
            before_us = board.now_us();
            board.with(|seen| seen.watches.restart());
        }
        env.sleep(WATCH_EVERY).await;
        let now_us = board.now_us();
        let stood_us = (now_us - before_us).saturating_sub(WATCH_EVERY.as_micros() as u64);
        before_us = now_us;
        watches = watches.wrapping_add(1);
        board.with(|seen| {
            if stood_us > STALL_US {
                info!(
                    "this process stood still for {} ms; timers start anew",
                    stood_us / 1000
                );
                seen.pulses.restart(now_us);
                seen.watches.restart();
            } else if seen.pulses.silence(now_us) || watches.is_multiple_of(TELL_EVERY) {
                board.tell_members(seen);
            }
            seen.judge(redundancy, now_us);
            if !seen.verdicts.is_empty() {
                board.judged.notify_one();
            }
        });
    }
}
