//! The append stream to one unit: carries frames there and credits back, and opens itself again.
use std::sync::Arc;
use std::time::Duration;

use dfs_rpc::roles::Requests;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lane::Lane;
use super::retry;
use crate::machine::Link;

/// Requests that the transport has not taken yet: one it works on, one that follows at once.
const REQUESTS_QUEUED: usize = 2;
/// Frames of one request: well below a message's bound, well above a disk's batch.
const REQUEST_BYTES: usize = 1 << 20;
/// A unit that stages nothing for so long is asked on a new stream. Busy disks have been seen to stall 4 s.
const STALL_TIME: Duration = Duration::from_secs(10);
/// Failures in a row after which the address is asked for again.
const REFRESH_AFTER: u32 = 4;

/// Serves one unit until nothing is left to do for it.
pub(super) async fn run(lane: Arc<Lane>, unit: usize) {
    let mut failures = 0_u32;
    while has_work(&lane, unit).await {
        let staged = lane.with(|machine| machine.staged_idx(unit));
        if let Err(refusal) = converse(&lane, unit).await {
            let unit_id = lane.units[unit].unit_id;
            tracing::debug!(%refusal, unit_id, lane = lane.id(), "the append stream broke");
        }
        let now = lane.with(|machine| {
            machine.disconnected(unit);
            machine.staged_idx(unit)
        });
        lane.stir();
        failures = if now > staged { 1 } else { failures + 1 };
        if failures.is_multiple_of(REFRESH_AFTER) {
            lane.hub.refresh();
        }
        lane.hub.env.sleep(retry::pause(failures)).await;
    }
}

/// Waits until there is something to send; false when there never will be.
async fn has_work(lane: &Lane, unit: usize) -> bool {
    let mut tried_at = None;
    loop {
        let (froze, done, work, trial) = lane.with(|machine| {
            let (froze, done) = (machine.freeze_due(), machine.is_done(unit));
            (froze, done, machine.lacks(unit), machine.trial_after(unit))
        });
        if froze {
            lane.wake();
        }
        if done || (work && trial.is_none()) {
            return !done;
        }
        let woken = lane.wakes[unit].notified();
        let Some(trial) = trial else {
            woken.await;
            continue;
        };
        let then = *tried_at.get_or_insert(lane.hub.env.now() + trial);
        let left = then.saturating_duration_since(lane.hub.env.now());
        if left.is_zero() {
            tried_at = None;
            lane.with(|machine| machine.try_again(unit));
        } else if lane.hub.env.timeout(left, woken).await.is_err() {
            continue; // it is its time
        }
    }
}

async fn converse(lane: &Arc<Lane>, unit: usize) -> Result<(), Refusal> {
    let v1::UnitRef {
        unit_id, address, ..
    } = &lane.units[unit];
    let address = lane
        .hub
        .address(lane.stripe, *unit_id)
        .unwrap_or_else(|| address.clone());
    let connected = lane.hub.connector.unit(*unit_id, &address);
    let role = retry::attempt(&lane.hub, "log unit", connected).await?;
    let (sender, receiver) = mpsc::channel(REQUESTS_QUEUED);
    lane.with(|machine| machine.connected(unit));
    lane.stir();
    // The first request is there before the stream is: it says which unit is meant.
    send(lane, unit, &sender);
    let opened = role.append(requests(receiver));
    let mut credits = retry::attempt(&lane.hub, "append stream", opened).await?;
    let mut watch = Watch::new(lane, unit);
    loop {
        // Whoever is about to append does so first: one cut wakes many callers, and they share a frame.
        tokio::task::yield_now().await;
        let backlog = send(lane, unit, &sender);
        if lane.with(|machine| machine.is_done(unit) || machine.link(unit) == Link::GivenUp) {
            return Ok(());
        }
        let timer = watch.timer(lane, unit)?;
        if timer == Some(Duration::ZERO) {
            lane.with(|machine| machine.resume(unit));
            continue;
        }
        tokio::select! {
            biased;
            batch = credits.next() => match batch {
                Some(batch) => hear(lane, unit, &batch?.credits),
                None => return Err(broken("the unit closed the stream")),
            },
            () = lane.wakes[unit].notified() => {}
            room = sender.reserve(), if backlog => {
                room.map_err(|_| broken("the unit takes nothing more"))?;
            }
            () = lane.hub.env.sleep(timer.unwrap_or_default()), if timer.is_some() => {
                lane.with(|machine| machine.resume(unit));
            }
        }
    }
}

fn broken(why: &str) -> Refusal {
    Refusal::new(Code::Unavailable, "append stream", why)
}

fn requests(receiver: mpsc::Receiver<v1::AppendRequest>) -> Requests<v1::AppendRequest> {
    let next = |mut receiver: mpsc::Receiver<_>| async move {
        receiver.recv().await.map(|request| (request, receiver))
    };
    stream::unfold(receiver, next).boxed()
}

/// Hands over what the machine wants sent; true: there may be more than the queue takes.
fn send(lane: &Lane, unit: usize, sender: &mpsc::Sender<v1::AppendRequest>) -> bool {
    while let Ok(room) = sender.try_reserve() {
        let (froze, taken) =
            lane.with(|machine| (machine.freeze_due(), machine.take(unit, REQUEST_BYTES)));
        if froze {
            lane.wake();
        }
        let Some(taken) = taken else { return false };
        room.send(v1::AppendRequest {
            unit_id: lane.units[unit].unit_id,
            lane: lane.id(),
            first_idx: taken.first_idx,
            frames: taken.frames,
            traces: taken.traces,
        });
    }
    true
}

fn hear(lane: &Lane, unit: usize, credits: &[v1::Credit]) {
    let (due, given_up, stirs) = lane.with(|machine| {
        let was_full = machine.is_full(unit);
        let due = credits
            .iter()
            .fold(false, |due, credit| machine.credit(unit, credit) | due);
        let given_up = machine.link(unit) == Link::GivenUp;
        (due, given_up, given_up || was_full != machine.is_full(unit))
    });
    if stirs {
        lane.stir();
    }
    if due {
        lane.wake();
    }
    if given_up {
        let unit_id = lane.units[unit].unit_id;
        tracing::info!(
            unit_id,
            lane = lane.id(),
            "the unit stays out of this lane (LOG-A3)"
        );
    }
}

/// Notices a unit that stages nothing.
struct Watch {
    staged_idx: u64,
    since: Instant,
    /// Fixed when the hold begins: a busy lane wakes its streams more often than any hold lasts.
    held_until: Option<Instant>,
}

impl Watch {
    fn new(lane: &Lane, unit: usize) -> Watch {
        let staged_idx = lane.with(|machine| machine.staged_idx(unit));
        Watch {
            staged_idx,
            since: lane.hub.env.now(),
            held_until: None,
        }
    }

    /// How long to wait at most, if something is awaited.
    fn timer(&mut self, lane: &Lane, unit: usize) -> Result<Option<Duration>, Refusal> {
        let (hold, awaits, staged_idx) = lane.with(|machine| {
            (
                machine.hold(unit),
                machine.awaits(unit),
                machine.staged_idx(unit),
            )
        });
        let now = lane.hub.env.now();
        if let Some(hold) = hold {
            let until = *self.held_until.get_or_insert(now + hold);
            return Ok(Some(until.saturating_duration_since(now)));
        }
        self.held_until = None;
        if !awaits || staged_idx != self.staged_idx {
            (self.staged_idx, self.since) = (staged_idx, now);
        }
        let left = STALL_TIME.saturating_sub(now - self.since);
        if left.is_zero() {
            return Err(broken("nothing was staged for a long time"));
        }
        Ok(awaits.then_some(left))
    }
}
