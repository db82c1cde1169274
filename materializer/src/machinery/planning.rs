//! What is asked becomes records of ours, or refusals: admission to slots, plans, appends (FOLD P, S).
use std::sync::atomic::Ordering;

use dfs_log::Draft;
use dfs_wire::{Code, Refusal, v1};
use tokio::time::Instant;

use super::config::{IN_FLIGHT_MAX, PLANS_PER_TURN, SHARD};
use super::open::view_failed;
use super::ops::{Answered, Arrival, Op, OpId, Work};
use super::sessions::{Now, Slot};
use super::shard::{Gives, InFlight, Office, Shard};
use super::streams::Body;
use crate::plan::control::{self, SessionPlan};
use crate::plan::{self, Context, Planned, Planning, Ticket, Unplanned};
use crate::state;

impl Shard {
    pub(crate) fn arrive(&mut self, arrivals: Vec<Arrival>) -> Result<(), Refusal> {
        for arrival in arrivals {
            self.admit(arrival)?;
        }
        Ok(())
    }

    fn admit(&mut self, arrival: Arrival) -> Result<(), Refusal> {
        let away = match &self.office {
            _ if self.is_stopping() => super::published::stopped(),
            Office::Primary(_) if self.is_in_doubt() => self.doubted(),
            Office::Candidate(..) => Refusal::new(
                Code::Unavailable,
                "shard 0",
                "this node is about to become its primary",
            ),
            Office::Replica => self.moved(),
            Office::Primary(primary) => match &arrival.work {
                Work::Mutate { slot, .. } if slot.shard == SHARD && slot.term == primary.term => {
                    let slot = *slot;
                    return self.admit_to_slot(arrival, slot);
                }
                // FOLD-S3: routed by another term.
                Work::Mutate { .. } => self.moved(),
                Work::Tick => {
                    self.tick(arrival);
                    return Ok(());
                }
                _ => {
                    let id = self.ops.add(arrival);
                    self.trace_queued(id);
                    self.queue.push_back(id);
                    return Ok(());
                }
            },
        };
        tell(arrival, Err(away));
        Ok(())
    }

    fn doubted(&self) -> Refusal {
        let doubt = self.hub.published.doubt();
        doubt.map_or_else(super::published::stopped, |doubt| doubt.why)
    }

    /// One Tick on its way serves all who want the log's time to go on.
    pub(crate) fn tick(&mut self, arrival: Arrival) {
        match self.upkeep.tick.filter(|id| self.ops.get(*id).is_some()) {
            Some(id) => self.ops.attach(id, arrival.waiter),
            None => {
                let id = self.ops.add(arrival);
                self.upkeep.tick = Some(id);
                self.queue.push_back(id);
            }
        }
    }

    /// FOLD-S3, P4.
    fn admit_to_slot(&mut self, arrival: Arrival, slot: v1::SlotUse) -> Result<(), Refusal> {
        let v1::SlotUse {
            session,
            slot: at,
            seq,
            attempt,
            ..
        } = slot;
        self.sessions.keep(session, self.now());
        let folded =
            state::slot(self.folder.snapshot(), session, SHARD, at).map_err(view_failed)?;
        let folded_seq = folded.as_ref().map(|folded| folded.seq);
        let refused = match self.sessions.look(session, at, seq, attempt, folded_seq) {
            Slot::New => {
                let id = self.ops.add(arrival);
                self.sessions.seen(session, at, seq, attempt, id);
                self.trace_queued(id);
                self.queue.push_back(id);
                return Ok(());
            }
            Slot::Attach(id) => {
                self.ops.attach(id, arrival.waiter);
                self.sessions.seen(session, at, seq, attempt, id);
                return Ok(());
            }
            Slot::Done => {
                tell(arrival, folded.map_or_else(|| Err(repeated()), stored));
                return Ok(());
            }
            Slot::NoSession => {
                let id = self.ops.add(arrival);
                self.refuse_later(id, session_gone(session));
                return Ok(());
            }
            Slot::BeyondLast => Refusal::new(
                Code::Invalid,
                format!("slot {at}"),
                "a session has 64 slots, from 0",
            ),
            Slot::Behind => Refusal::new(
                Code::Invalid,
                format!("slot {at}, request {seq}"),
                "a later request of this slot has been seen",
            ),
            Slot::Repeated => repeated(),
        };
        tell(arrival, Err(refused));
        Ok(())
    }

    fn now(&self) -> Now {
        let log_time_us = self.folder.snapshot().stamp.log_time_us;
        Now {
            own: self.hub.env.now(),
            log_time_us,
        }
    }

    /// Plans what is queued, as far as the window goes and no longer than the fold can wait.
    pub(crate) fn plan(&mut self) -> Result<(), Refusal> {
        for _ in 0..PLANS_PER_TURN {
            if self.held || self.is_in_doubt() {
                break;
            }
            let Some(id) = self.queue.pop_front() else {
                break;
            };
            self.start(id)?;
        }
        Ok(())
    }

    fn start(&mut self, id: OpId) -> Result<(), Refusal> {
        let Some(op) = self.ops.get(id) else {
            return Ok(());
        }; // given up
        match &op.work {
            Work::Mutate { .. } => self.plan_mutation(id),
            Work::OpenSession(_) => self.plan_session(id),
            Work::Place(place) => {
                let place = place.clone();
                self.place(id, &place)
            }
            Work::KeepSession(session) => {
                let session = *session;
                self.keep_session(id, session);
                Ok(())
            }
            Work::CloseSession(session) | Work::Expire(session) => {
                let session = *session;
                self.end_session(id, session)
            }
            Work::TakeSnapshot => self.wants_snapshot(id),
            Work::SnapshotTaken(taken, session) => {
                let (taken, session) = ((**taken).clone(), *session);
                self.plan_snapshot_taken(id, taken, session)
            }
            _ => self.plan_upkeep(id),
        }
    }

    fn plan_mutation(&mut self, id: OpId) -> Result<(), Refusal> {
        let (Office::Primary(primary), Some(op)) = (&mut self.office, self.ops.get(id)) else {
            return Ok(());
        };
        let Work::Mutate {
            request,
            source,
            slot,
        } = &op.work
        else {
            return Ok(());
        };
        let planning = Planning {
            overlay: &primary.overlay,
            folded: self.folder.snapshot(),
        };
        let now_ns = i64::try_from(self.hub.env.wall_us() * 1000).unwrap_or(i64::MAX);
        let (term, settings) = (primary.term, &primary.settings);
        let context = context(op, term, settings, now_ns, Some(*slot));
        let source = match source {
            Some(Err(refusal)) => {
                let refusal = refusal.clone();
                return self.refuse(id, refusal);
            }
            Some(Ok(source)) => Some(&**source),
            None => None,
        };
        let planned = plan::mutate(planning, request, source, &context, &mut primary.ids);
        match planned {
            Ok(planned) => {
                let privileged = makes_room(request);
                let gives = Gives::Done(planned.done);
                self.append(id, planned, gives, privileged)
            }
            Err(Unplanned::Blocked(ticket)) => {
                self.blocked.entry(ticket).or_default().push(id);
                Ok(())
            }
            Err(Unplanned::Refused(refusal)) => self.refuse(id, refusal),
        }
    }

    fn plan_session(&mut self, id: OpId) -> Result<(), Refusal> {
        let (Office::Primary(primary), Some(op)) = (&mut self.office, self.ops.get(id)) else {
            return Ok(());
        };
        let Work::OpenSession(open) = &op.work else {
            return Ok(());
        };
        let planning = Planning {
            overlay: &primary.overlay,
            folded: self.folder.snapshot(),
        };
        let context = context(op, primary.term, &primary.settings, 0, None);
        match control::open_session(planning, open, &context, &mut primary.ids) {
            Ok(SessionPlan::Open(session)) => {
                self.keep_session(id, session);
                Ok(())
            }
            Ok(SessionPlan::Planned { session, planned }) => {
                // As privileged as the deletions that it is opened for (FOLD-T5).
                self.append(id, *planned, Gives::Session(session), true)
            }
            Err(Unplanned::Blocked(ticket)) => {
                self.blocked.entry(ticket).or_default().push(id);
                Ok(())
            }
            Err(Unplanned::Refused(refusal)) => {
                self.refuse_later(id, refusal);
                Ok(())
            }
        }
    }

    fn keep_session(&mut self, id: OpId, session: u64) {
        if self.sessions.keep(session, self.now()) {
            let body = self.granted(session);
            self.finish_now(id, body);
        } else {
            self.refuse_later(id, session_gone(session));
        }
    }

    /// FOLD-S1: only when nothing of it is in flight.
    fn end_session(&mut self, id: OpId, session: u64) -> Result<(), Refusal> {
        if self.sessions.is_busy(session) {
            let why = "requests of it are in flight";
            let busy = Refusal::new(Code::Busy, format!("session {session}"), why);
            self.finish(id, Err(busy));
            return Ok(());
        }
        if !self.sessions.has(session) {
            self.refuse_later(id, session_gone(session));
            return Ok(());
        }
        let Some(planned) = self.planned(id, |context| control::expire_session(context, session))
        else {
            return Ok(());
        };
        self.sessions.set_ending(session, true);
        self.append(id, planned, Gives::Done(v1::Done::default()), true)
    }

    fn plan_upkeep(&mut self, id: OpId) -> Result<(), Refusal> {
        let Some(op) = self.ops.get(id) else {
            return Ok(());
        };
        let (privileged, planned) = match &op.work {
            Work::Tick => (true, self.planned(id, control::tick)),
            Work::AddReplica(node) => {
                let node = *node;
                (
                    true,
                    self.planned(id, |context| control::replica_added(context, node)),
                )
            }
            Work::RemoveReplica(node) => {
                let node = *node;
                (
                    true,
                    self.planned(id, |context| control::replica_removed(context, node)),
                )
            }
            Work::CloseGroup(group) => {
                let group = *group;
                (
                    true,
                    self.planned(id, |context| control::close_group(context, group)),
                )
            }
            Work::MoveFloor(lsn) => {
                let lsn = *lsn;
                (
                    true, // FOLD-T5
                    self.planned(id, |context| control::floor_moved(context, lsn)),
                )
            }
            Work::OpenGroup(group) => {
                let group = group.clone();
                return self.open_group(id, group, Gives::Done(v1::Done::default()));
            }
            _ => return Ok(()),
        };
        let Some(planned) = planned else {
            return Ok(());
        };
        self.append(id, planned, Gives::Done(v1::Done::default()), privileged)
    }

    pub(crate) fn open_group(
        &mut self,
        id: OpId,
        group: v1::Group,
        gives: Gives,
    ) -> Result<(), Refusal> {
        let (Office::Primary(primary), Some(op)) = (&mut self.office, self.ops.get(id)) else {
            return Ok(());
        };
        let context = context(op, primary.term, &primary.settings, 0, None);
        let (_, planned) = control::open_group(&context, &mut primary.ids, group);
        self.append(id, planned, gives, false)?;
        if self.ops.get(id).is_some_and(|op| op.appended) {
            self.upkeep.opening = Some(Ticket(self.last_ticket));
        }
        Ok(())
    }

    pub(crate) fn planned<T>(&self, id: OpId, plan: impl FnOnce(&Context<'_>) -> T) -> Option<T> {
        let (Office::Primary(primary), Some(op)) = (&self.office, self.ops.get(id)) else {
            return None;
        };
        Some(plan(&context(op, primary.term, &primary.settings, 0, None)))
    }

    /// FOLD-P0, P1. A full window only holds the queue.
    pub(crate) fn append(
        &mut self,
        id: OpId,
        planned: Planned,
        gives: Gives,
        privileged: bool,
    ) -> Result<(), Refusal> {
        let Office::Primary(primary) = &self.office else {
            return Ok(());
        };
        let span = self.trace_append(id, primary.term, primary.appender.lane());
        let Office::Primary(primary) = &mut self.office else {
            return Ok(());
        };
        let store_full = self.hub.store_full.load(Ordering::Relaxed);
        if !privileged && (store_full || !primary.appender.room().is_enough()) {
            span.discard();
            self.refuse_by_term(id, no_space(store_full));
            return Ok(());
        }
        let draft = Draft {
            tags: planned.tags.clone(),
            guards: planned.guards_encoded.clone(),
            order: planned.ordered.then_some((SHARD, primary.term)),
            record: planned.encoded.clone(),
            privileged,
            trace: span.context(),
        };
        let has_room = primary.in_flight.len() < IN_FLIGHT_MAX;
        let taken = if has_room {
            primary.appender.try_append(draft)
        } else {
            Ok(Err(draft))
        };
        match taken {
            Ok(Ok(cut)) => {
                self.last_ticket += 1;
                let ticket = Ticket(self.last_ticket);
                let folded = self.folder.snapshot();
                primary
                    .overlay
                    .add(ticket, &planned, folded)
                    .map_err(view_failed)?;
                let (nth, since) = (cut.nth(), self.hub.env.now());
                primary.in_flight.push_back(InFlight {
                    nth,
                    ticket,
                    op: id,
                    gives,
                    cut,
                    since,
                });
                if let Some(op) = self.ops.get_mut(id) {
                    op.appended = true;
                }
                self.trace_appended(id, span);
            }
            Ok(Err(_full)) => {
                span.discard();
                self.held = true;
                self.queue.push_front(id);
            }
            Err(refusal) if refusal.code() == Code::State => self.lose_lane(&refusal),
            Err(refusal) => self.finish(id, Err(refusal)),
        }
        Ok(())
    }

    /// The lane takes no more: this node must own another term to go on (FOLD-T3).
    pub(crate) fn lose_lane(&mut self, why: &Refusal) {
        tracing::warn!(%why, "leave the term: its lane is lost");
        match std::mem::replace(&mut self.office, Office::Replica) {
            Office::Primary(primary) => self.leave_office(*primary),
            Office::Candidate(..) | Office::Replica => self.stand(),
        }
    }

    /// True at what is folded.
    pub(crate) fn finish_now(&mut self, id: OpId, body: Body) {
        let stamp = self.folder.snapshot().stamp;
        let told = Answered {
            lsn: stamp.lsn,
            log_time_us: stamp.log_time_us,
            body,
        };
        self.finish(id, Ok(told));
    }

    pub(crate) fn granted(&self, session: u64) -> Body {
        let (term, settings) = match &self.office {
            Office::Primary(primary) => (primary.term, primary.settings),
            _ => (0, v1::Settings::default()),
        };
        Body::Session(v1::SessionGranted {
            session,
            shard: SHARD,
            term,
            lease_us: settings.lease_us,
            slots: dfs_wire::limits::SESSION_SLOTS,
            settings: Some(settings),
        })
    }

    /// Waiters whose time is over are told; what nobody waits for is not begun.
    pub(crate) fn expire_ops(&mut self, now: Instant) {
        for id in self.ops.expire(now) {
            let gone = Refusal::new(Code::Unavailable, "request", "nobody waits for it any more");
            self.finish(id, Err(gone));
        }
    }
}

fn context<'a>(
    op: &'a Op,
    term: u64,
    settings: &'a v1::Settings,
    now_ns: i64,
    slot: Option<v1::SlotUse>,
) -> Context<'a> {
    let (actor, uid, gid) = (op.by.actor.as_str(), op.by.uid, op.by.gid);
    Context {
        shard: SHARD,
        term,
        actor,
        uid,
        gid,
        now_ns,
        slot,
        settings,
    }
}

/// What the slot holds is what any retry gets.
fn stored(slot: state::Slot) -> Result<Answered, Refusal> {
    match slot.result.outcome {
        Some(v1::slot_result::Outcome::Done(done)) => Ok(Answered {
            lsn: slot.lsn,
            log_time_us: slot.log_time_us,
            body: Body::Done(done),
        }),
        Some(v1::slot_result::Outcome::Refusal(refusal)) => {
            Err(Refusal::from(refusal).at(slot.lsn))
        }
        None => Err(repeated()),
    }
}

fn tell(arrival: Arrival, told: Result<Answered, Refusal>) {
    if let Some(waiter) = arrival.waiter {
        waiter.asker.tell(told);
    }
}

/// FOLD-S3: a double. Its first copy was answered; whoever still waits asks with the next attempt.
fn repeated() -> Refusal {
    Refusal::new(
        Code::TimedOut,
        "request",
        "this attempt was answered before",
    )
    .advice("Ask again with the next attempt of the same request")
}

fn session_gone(session: u64) -> Refusal {
    Refusal::new(
        Code::SessionGone,
        format!("session {session}"),
        "it is not open",
    )
}

fn no_space(store_full: bool) -> Refusal {
    let why = if store_full {
        "the disk of the materializer's store is full"
    } else {
        "too few log units have room"
    };
    Refusal::new(Code::NoSpace, "request", why)
}

/// FOLD-T5: what makes room is taken also when there is none; a shorter retention does.
fn makes_room(request: &v1::Mutate) -> bool {
    use v1::mutate::Op;
    matches!(request.op, Some(Op::Remove(_) | Op::SetSettings(_)))
}
