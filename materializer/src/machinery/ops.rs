//! What the shard loop works on: from arrival to answer, one entry each.
use std::collections::BTreeMap;

use dfs_rpc::trace::{Span, TraceContext};
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::streams::{Body, Reply};
use crate::plan::CopySource;

/// In order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId(pub(crate) u64);

/// What is asked of the shard's primary, or what it asks of itself.
#[derive(Debug)]
pub(crate) enum Work {
    Mutate {
        request: Box<v1::Mutate>,
        /// Of a copy from the past: what was read, or why it could not be.
        source: Option<Result<Box<CopySource>, Refusal>>,
        slot: v1::SlotUse,
    },
    OpenSession(v1::OpenSession),
    KeepSession(u64),
    CloseSession(u64),
    Place(v1::Place),
    Tick,
    Expire(u64),
    AddReplica(u64),
    RemoveReplica(u64),
    OpenGroup(v1::Group),
    CloseGroup(u64),
    MoveFloor(u64),
    TakeSnapshot,
    /// Under this session.
    SnapshotTaken(Box<v1::SnapshotTaken>, u64),
}

/// Who asked, as asserted.
#[derive(Clone, Debug, Default)]
pub(crate) struct By {
    pub(crate) actor: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A true answer, and where it is true.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) lsn: u64,
    pub(crate) log_time_us: u64,
    pub(crate) body: Body,
}

pub(crate) enum Asker {
    Stream(Reply),
    /// A task of this role.
    Task(oneshot::Sender<Result<Answered, Refusal>>),
}

impl Asker {
    pub(crate) fn tell(self, outcome: Result<Answered, Refusal>) {
        match (self, outcome) {
            (Asker::Stream(reply), Ok(told)) => reply.answer(told.lsn, told.log_time_us, told.body),
            (Asker::Stream(reply), Err(refusal)) => reply.refuse(refusal),
            (Asker::Task(tell), outcome) => drop(tell.send(outcome)),
        }
    }
}

pub(crate) struct Waiter {
    pub(crate) asker: Asker,
    pub(crate) deadline: Instant,
}

impl Waiter {
    fn trace(&self) -> Option<TraceContext> {
        match &self.asker {
            Asker::Stream(reply) => reply.trace(),
            Asker::Task(_) => None,
        }
    }
}

/// What enters the loop.
pub(crate) struct Arrival {
    pub(crate) work: Work,
    pub(crate) by: By,
    pub(crate) waiter: Option<Waiter>,
}

pub(crate) struct Op {
    pub(crate) work: Work,
    pub(crate) by: By,
    pub(crate) waiters: Vec<Waiter>,
    /// Appended: from here on only the fold decides (FOLD-G4).
    pub(crate) appended: bool,
    /// The sampled request that brought it.
    pub(crate) trace: Option<TraceContext>,
    /// What it goes through now.
    pub(crate) span: Span,
}

/// All that is not answered yet.
#[derive(Default)]
pub(crate) struct Ops {
    by_id: BTreeMap<OpId, Op>,
    last: u64,
    /// No waiter's deadline is before.
    next_deadline: Option<Instant>,
}

impl Ops {
    pub(crate) fn add(&mut self, arrival: Arrival) -> OpId {
        self.last += 1;
        let id = OpId(self.last);
        let Arrival { work, by, waiter } = arrival;
        let mut op = Op {
            work,
            by,
            waiters: Vec::with_capacity(1),
            appended: false,
            trace: waiter.as_ref().and_then(Waiter::trace),
            span: Span::default(),
        };
        self.wait_in(&mut op, waiter);
        self.by_id.insert(id, op);
        id
    }

    /// FOLD-P4: a retry gets what is in flight.
    pub(crate) fn attach(&mut self, id: OpId, waiter: Option<Waiter>) {
        if let Some(mut op) = self.by_id.remove(&id) {
            self.wait_in(&mut op, waiter);
            self.by_id.insert(id, op);
        }
    }

    fn wait_in(&mut self, op: &mut Op, waiter: Option<Waiter>) {
        if let Some(waiter) = &waiter {
            let next = self.next_deadline.get_or_insert(waiter.deadline);
            *next = (*next).min(waiter.deadline);
        }
        op.waiters.extend(waiter);
    }

    pub(crate) fn get(&self, id: OpId) -> Option<&Op> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: OpId) -> Option<&mut Op> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: OpId) -> Option<Op> {
        self.by_id.remove(&id)
    }

    pub(crate) fn ids(&self) -> Vec<OpId> {
        self.by_id.keys().copied().collect()
    }

    /// Refuses the waiters whose time is over; the ids of ops that nobody waits for and that were
    /// not appended, to be given up.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<OpId> {
        if self.next_deadline.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let (mut given_up, mut next_deadline) = (Vec::new(), None::<Instant>);
        for (id, op) in &mut self.by_id {
            let waiters = std::mem::take(&mut op.waiters);
            let had_some = !waiters.is_empty();
            for waiter in waiters {
                if waiter.deadline <= now {
                    waiter.asker.tell(Err(too_late(op.appended)));
                    continue;
                }
                let next = next_deadline.get_or_insert(waiter.deadline);
                *next = (*next).min(waiter.deadline);
                op.waiters.push(waiter);
            }
            if had_some && op.waiters.is_empty() && !op.appended {
                given_up.push(*id);
            }
        }
        self.next_deadline = next_deadline;
        given_up
    }
}

/// Only what was appended may still happen.
fn too_late(appended: bool) -> Refusal {
    if appended {
        Refusal::new(
            Code::TimedOut,
            "request",
            "its record was not folded by the deadline",
        )
    } else {
        Refusal::new(
            Code::Unavailable,
            "request",
            "its turn did not come by the deadline",
        )
    }
}
