//! The loop of the shard: folds, publishes, answers what was folded, plans what was asked. One task; it waits for nothing else.
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dfs_log::{Appender, Batch, Event, Follow, Follower, Trail};
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::config::{QUEUE_FULL, SHARD, TURN};
use super::hub::{Hub, Standing};
use super::open::view_failed;
use super::ops::{Answered, Arrival, OpId, Ops, Work};
use super::refold::halted;
use super::sessions::{Now, Sessions};
use super::streams::Body;
use super::terms::{Claim, Genesis};
use crate::fold::{FoldFrame, Folded, Folder};
use crate::plan::{Ids, Overlay, Ticket};
use crate::state::{self, Term};
use crate::view::View;

/// Orders to the loop, from its helpers and its role.
pub(crate) enum Command {
    /// A lane for a claim, or none was to be had.
    Lane(Claim, Option<Box<Appender>>),
    /// An `End` that was asked for in this round (FOLD-P3).
    Ended {
        round: u64,
        next_lsn: u64,
    },
    /// Whether the sequencer answered while this plan was stuck (FOLD-T4).
    Probed(Ticket, bool),
    /// For a replica's digests.
    DigestLane(Option<Box<Appender>>),
    /// FOLD-X4b: the digest to which the log folds.
    Refolded {
        lsn: u64,
        outcome: Result<u64, Refusal>,
    },
    SnapshotEnded(Result<super::snapshots::Ended, Refusal>),
    Stop,
}

pub(crate) struct Shard {
    pub(crate) hub: Arc<Hub>,
    pub(crate) genesis: Genesis,
    pub(crate) folder: Folder,
    pub(super) arriving: mpsc::Receiver<Vec<Arrival>>,
    pub(super) commanded: mpsc::Receiver<Command>,
    pub(crate) office: Office,
    /// Folded.
    pub(crate) term: Option<Term>,
    pub(crate) ops: Ops,
    /// Admitted, not planned.
    pub(crate) queue: VecDeque<OpId>,
    /// The window is full: planning goes on when something was folded.
    pub(crate) held: bool,
    /// FOLD-P1: by the plan whose fold is waited for.
    pub(crate) blocked: BTreeMap<Ticket, Vec<OpId>>,
    pub(crate) refusals: super::refusals::Refusals,
    pub(crate) sessions: Sessions,
    pub(crate) last_ticket: u64,
    pub(crate) folded_ticket: u64,
    /// Folded, not committed.
    outcomes: Vec<Outcome>,
    /// When what is being folded was heard of.
    heard: Instant,
    /// Of a term that is over.
    pub(crate) orphans: Option<Orphans>,
    pub(crate) upkeep: super::upkeep::Upkeep,
    pub(crate) digests: super::digests::Digests,
    pub(crate) snapshots: super::snapshots::Snapshots,
    /// The end of the log when it was first asked for: what lies before it is old.
    end_at_start: Option<u64>,
    /// FOLD-X4b: its state, as wrong.
    pub(crate) gave_up: bool,
    pub(super) stopping: bool,
}

pub(crate) enum Office {
    Replica,
    /// The own `TermStarted` is on its way through this lane.
    Candidate(Box<Appender>, dfs_log::Ticket),
    Primary(Box<Primary>),
}

/// FOLD-T2: exists only after the own `TermStarted` is folded.
pub(crate) struct Primary {
    pub(crate) term: u64,
    pub(crate) appender: Appender,
    pub(crate) overlay: Overlay,
    pub(crate) ids: Ids,
    /// In force, as this node plans by them.
    pub(crate) settings: v1::Settings,
    pub(crate) in_flight: VecDeque<InFlight>,
}

/// Appended, not folded; in the order of the lane and its successors.
pub(crate) struct InFlight {
    /// Among all records of the term.
    pub(crate) nth: u64,
    pub(crate) ticket: Ticket,
    pub(crate) op: OpId,
    pub(crate) gives: Gives,
    pub(crate) cut: dfs_log::Ticket,
    pub(crate) since: Instant,
}

impl Primary {
    pub(crate) fn is_stuck_at(&self, ticket: Ticket) -> bool {
        self.in_flight
            .front()
            .is_some_and(|first| first.ticket == ticket)
    }
}

/// What is answered when the record has taken effect.
pub(crate) enum Gives {
    Done(v1::Done),
    Refusal(Refusal),
    Session(u64),
    /// The question itself is looked at again.
    Again,
}

pub(crate) struct Orphans {
    trail: Trail,
    in_flight: VecDeque<InFlight>,
    pub(crate) since: Instant,
}

struct Outcome {
    lane: u64,
    first_idx: u64,
    end_idx: u64,
    folded: Folded,
}

enum Step {
    Command(Command),
    Log(Result<Batch, Refusal>),
    Arrived(Vec<Arrival>),
    Turn,
    /// There is more to plan.
    Plan,
    End,
}

impl Shard {
    pub(crate) fn open(
        hub: Arc<Hub>,
        view: Arc<dyn View>,
        genesis: Genesis,
        (arriving, commanded): (mpsc::Receiver<Vec<Arrival>>, mpsc::Receiver<Command>),
    ) -> Result<Shard, Refusal> {
        let folder = Folder::new(view).map_err(view_failed)?;
        let snapshot = folder.snapshot().clone();
        let term = state::term(&snapshot, SHARD).map_err(view_failed)?;
        let upkeep = super::upkeep::Upkeep::new(hub.env.now());
        let digests = super::digests::Digests::open(&hub, &snapshot)?;
        let settings_lsn = state::settings_lsn(&snapshot).map_err(view_failed)?;
        hub.settings_lsn.store(settings_lsn, Ordering::Relaxed);
        hub.published.publish(snapshot);
        let hub_now = hub.env.now();
        Ok(Shard {
            hub,
            genesis,
            folder,
            arriving,
            commanded,
            office: Office::Replica,
            term,
            ops: Ops::default(),
            queue: VecDeque::new(),
            held: false,
            blocked: BTreeMap::new(),
            refusals: super::refusals::Refusals::default(),
            sessions: Sessions::default(),
            last_ticket: 0,
            folded_ticket: 0,
            heard: hub_now,
            outcomes: Vec::new(),
            orphans: None,
            upkeep,
            digests,
            snapshots: super::snapshots::Snapshots::default(),
            end_at_start: None,
            gave_up: false,
            stopping: false,
        })
    }

    /// Runs until the role ends, and says why.
    pub(crate) async fn run(mut self) -> Refusal {
        loop {
            let follower = match self.connect().await {
                Ok(follower) => follower,
                Err(refusal) => return refusal,
            };
            match self.turns(follower).await {
                Ok(None) => return super::published::stopped(),
                Ok(Some(trimmed)) if trimmed.code() == Code::Trimmed => return trimmed,
                Ok(Some(unreadable)) => {
                    if !self.stand_still(unreadable).await {
                        return super::published::stopped();
                    }
                }
                Err(refusal) => {
                    tracing::error!(%refusal, "stop folding");
                    let is_odd = std::mem::take(&mut self.gave_up);
                    if refusal.code() == Code::Corrupt && !is_odd {
                        self.hub.suspect_store();
                    }
                    return refusal;
                }
            }
        }
    }

    /// LOG-U9: a log that ends before what is folded went back; only a linearizable End may say so.
    async fn connect(&mut self) -> Result<Follower, Refusal> {
        let applied = self.folder.stamp().lsn;
        let env = self.hub.env.clone();
        loop {
            let end = self.hub.end().await;
            match end {
                Ok(end) if end.next_lsn <= applied => {
                    let why = format!(
                        "LSN {applied} is folded, and the log ends before {}",
                        end.next_lsn
                    );
                    return Err(Refusal::new(Code::LogWentBack, "the log", why));
                }
                Ok(end) => self.end_at_start = Some(end.next_lsn),
                Err(refusal) if refusal.is_retryable() => {
                    env.sleep(TURN).await;
                    continue;
                }
                Err(refusal) => return Err(refusal),
            }
            let everything = Follow {
                tags: Vec::new(),
                own: true,
            };
            match self.hub.log.follow(applied + 1, everything).await {
                Err(refusal) if refusal.is_retryable() => env.sleep(TURN).await,
                followed => return followed,
            }
        }
    }

    /// `None`: it was stopped; else why the log cannot be read on.
    async fn turns(&mut self, mut follower: Follower) -> Result<Option<Refusal>, Refusal> {
        let env = self.hub.env.clone();
        let mut members = self.hub.members.clone();
        let turn = || -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let env = env.clone();
            Box::pin(async move { env.sleep(TURN).await })
        };
        let mut next_turn = turn();
        self.turn()?;
        loop {
            let more = !self.queue.is_empty() && !self.held && !self.is_in_doubt();
            let step = tokio::select! {
                biased;
                command = self.commanded.recv() => command.map_or(Step::End, Step::Command),
                () = &mut next_turn => Step::Turn,
                batch = follower.next() => Step::Log(batch),
                Ok(()) = members.changed() => Step::Turn,
                arrived = self.arriving.recv(), if self.takes_requests() => {
                    arrived.map_or(Step::End, Step::Arrived)
                }
                () = tokio::task::yield_now(), if more => Step::Plan,
            };
            match step {
                Step::Command(command) => self.obey(command)?,
                Step::Log(Err(unreadable)) => return Ok(Some(unreadable)),
                Step::Log(Ok(batch)) => {
                    self.say_unreadable(None);
                    self.fold(batch).await?;
                    self.arrive_waiting()?;
                }
                Step::Arrived(arrivals) => {
                    self.arrive(arrivals)?;
                    self.arrive_waiting()?;
                }
                Step::Turn => {
                    next_turn = turn();
                    self.say_waits(follower.waits_for());
                    self.turn()?;
                }
                Step::Plan => {}
                Step::End => return Ok(None),
            }
            self.plan()?;
            self.hub.metrics.queued.set(self.queue.len() as u64);
            self.hub.metrics.in_flight.set(self.in_flight() as u64);
            if self.stopping && self.in_flight() == 0 {
                return Ok(None);
            }
        }
    }

    /// So that a busy log does not keep requests waiting.
    fn arrive_waiting(&mut self) -> Result<(), Refusal> {
        while self.takes_requests() {
            let Ok(arrivals) = self.arriving.try_recv() else {
                break;
            };
            self.arrive(arrivals)?;
        }
        Ok(())
    }

    fn takes_requests(&self) -> bool {
        self.queue.len() < QUEUE_FULL && !self.holds_requests()
    }

    pub(super) fn obey(&mut self, command: Command) -> Result<(), Refusal> {
        match command {
            Command::Lane(claim, lane) => self.take_lane(claim, lane.map(|lane| *lane)),
            Command::Ended { round, next_lsn } => self.heard_end(round, next_lsn),
            Command::Probed(ticket, answers) => self.probed(ticket, answers),
            Command::DigestLane(lane) => self.take_digest_lane(lane),
            Command::Refolded { lsn, outcome } => self.refolded(lsn, outcome),
            Command::SnapshotEnded(outcome) => self.snapshot_ended(outcome),
            Command::Stop => {
                self.stopping = true;
                Ok(())
            }
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(crate) fn in_flight(&self) -> usize {
        match &self.office {
            Office::Primary(primary) => primary.in_flight.len(),
            _ => 0,
        }
    }

    /// LOG-I14: one batch is committed whole, published, and only then answered (LOG-I9).
    async fn fold(&mut self, batch: Batch) -> Result<(), Refusal> {
        self.heard = self.hub.env.now();
        for event in batch.events {
            let Event::Frame(at) = event else { continue };
            let (lane, first_idx) = (at.frame.header.lane, at.frame.header.first_idx);
            let end_idx = at.frame.end_idx();
            self.snapshots.folded(at.frame.bytes().len());
            self.hub.metrics.bytes.add(at.frame.bytes().len() as u64);
            let frame = FoldFrame {
                first_lsn: at.first_lsn,
                log_time_us: at.log_time_us,
                cut_seq: at.cut_seq,
                frame: at.frame,
            };
            let folded = self.folder.fold(&frame).map_err(|halt| halted(&halt))?;
            self.outcomes.push(Outcome {
                lane,
                first_idx,
                end_idx,
                folded,
            });
            if self.folder.is_full() {
                self.commit()?;
                tokio::task::yield_now().await; // a long log to catch up with must not hold this thread
            }
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), Refusal> {
        if !self.folder.is_dirty() {
            return Ok(());
        }
        let (began, before) = (self.hub.env.now(), self.folder.snapshot().stamp.lsn);
        let snapshot = self.folder.commit().map_err(view_failed)?;
        let took = self.hub.env.now().saturating_duration_since(began);
        let records = snapshot.stamp.lsn.saturating_sub(before);
        let void = self.outcomes.iter().filter(|o| o.folded.void.is_some());
        let metrics = &self.hub.metrics;
        metrics.committed(took, records, (self.outcomes.len(), void.count()));
        self.hub.published.publish(snapshot);
        for outcome in std::mem::take(&mut self.outcomes) {
            self.settle(outcome)?;
        }
        self.judge_digests()?;
        self.answer_refusals()
    }

    fn settle(&mut self, outcome: Outcome) -> Result<(), Refusal> {
        let Outcome {
            lane,
            first_idx,
            end_idx,
            folded,
        } = outcome;
        for (lsn, mutation) in &folded.control {
            self.observe(*lsn, folded.log_time_us, lane, mutation)?;
        }
        self.note_digests(&folded);
        if let Office::Candidate(appender, _) = &self.office
            && appender.trail().has(lane)
        {
            // Not observed as a term: it was void, another came first (FOLD-T0, T1).
            self.office = Office::Replica;
            self.stand();
        }
        let Some(first) = self.nth_of_own(lane, first_idx) else {
            return Ok(());
        };
        let end = first + (end_idx - first_idx);
        while let Some(landed) = self.pop_in_flight(lane, end) {
            let lsn = folded.first_lsn + (landed.nth - first);
            self.held = false;
            self.land(landed, lane, lsn, &folded);
        }
        Ok(())
    }

    /// Which record of this term, or of the one before, lies there (FOLD-T2: in one lane or a successor).
    fn nth_of_own(&self, lane: u64, idx: u64) -> Option<u64> {
        let of_term = match &self.office {
            Office::Primary(primary) => primary.appender.trail().nth(lane, idx),
            _ => None,
        };
        let orphans = self.orphans.as_ref();
        of_term.or_else(|| orphans?.trail.nth(lane, idx))
    }

    fn pop_in_flight(&mut self, lane: u64, end: u64) -> Option<InFlight> {
        let in_flight = match (&mut self.office, &mut self.orphans) {
            (Office::Primary(primary), _) if primary.appender.trail().has(lane) => {
                &mut primary.in_flight
            }
            (_, Some(orphans)) if orphans.trail.has(lane) => &mut orphans.in_flight,
            _ => return None,
        };
        in_flight.pop_front_if(|first| first.nth < end)
    }

    /// A record of ours is folded: whoever waited for it is answered.
    fn land(&mut self, landed: InFlight, lane: u64, lsn: u64, folded: &Folded) {
        let InFlight {
            ticket, op, gives, ..
        } = landed;
        if let Office::Primary(primary) = &mut self.office
            && primary.appender.trail().has(lane)
        {
            primary.overlay.folded(ticket);
        }
        self.trace_folded(op, self.heard, lsn);
        self.upkeep.landed(ticket);
        self.folded_ticket = self.folded_ticket.max(ticket.0);
        self.refusals.landed(ticket.0, lsn);
        if let Some(waiting) = self.blocked.remove(&ticket) {
            waiting
                .into_iter()
                .rev()
                .for_each(|op| self.queue.push_front(op));
        }
        let log_time_us = folded.log_time_us;
        if let Some(guard) = &folded.void {
            let why = format!("the frame at LSN {lsn} is void: {guard}");
            self.finish(op, Err(Refusal::new(Code::Void, "request", why).at(lsn)));
            return;
        }
        let is_primary = matches!(self.office, Office::Primary(_));
        let told = match gives {
            // Only a primary plans, or grants; asked again it finds what this record made.
            Gives::Again | Gives::Session(_) if !is_primary => Err(self.moved()),
            Gives::Again => {
                if let Some(op) = self.ops.get_mut(op) {
                    op.appended = false;
                }
                self.queue.push_front(op);
                return;
            }
            Gives::Refusal(refusal) => Err(refusal.at(lsn)),
            Gives::Session(session) => Ok(self.granted(session)),
            Gives::Done(done) => Ok(Body::Done(done)),
        };
        self.finish(
            op,
            told.map(|body| Answered {
                lsn,
                log_time_us,
                body,
            }),
        );
    }

    /// The one place where an op ends.
    pub(crate) fn finish(&mut self, id: OpId, told: Result<Answered, Refusal>) {
        let Some(op) = self.ops.remove(id) else {
            return;
        };
        match &op.work {
            Work::Mutate { slot, .. } => self.sessions.finished(slot.session, slot.slot, id),
            // Gone by now, if its end took effect.
            Work::Expire(id) | Work::CloseSession(id) => self.sessions.set_ending(*id, false),
            _ => {}
        }
        self.upkeep.finished(&op.work);
        for waiter in op.waiters {
            waiter.asker.tell(told.clone());
        }
    }

    /// What CONTROL says that the loop must know.
    fn observe(
        &mut self,
        lsn: u64,
        log_time_us: u64,
        lane: u64,
        mutation: &v1::Mutation,
    ) -> Result<(), Refusal> {
        use v1::mutation::Kind;
        let now = Now {
            own: self.hub.env.now(),
            log_time_us,
        };
        match &mutation.kind {
            Some(Kind::ClusterCreated(created)) => self.observe_term(lsn, created.owner, lane),
            Some(Kind::TermStarted(started)) if started.shard == SHARD => {
                self.observe_term(lsn, started.owner, lane)
            }
            Some(Kind::SessionOpened(opened)) => {
                if let Office::Primary(_) = self.office {
                    self.sessions.opened(opened.session, now);
                }
                Ok(())
            }
            Some(Kind::SessionExpired(expired)) => {
                self.sessions.expired(expired.session);
                Ok(())
            }
            Some(Kind::SettingChanged(_)) => self.observe_settings(),
            _ => Ok(()),
        }
    }

    fn observe_term(
        &mut self,
        lsn: u64,
        owner: Option<v1::Owner>,
        lane: u64,
    ) -> Result<(), Refusal> {
        self.term = Some(Term {
            lsn,
            owner: owner.unwrap_or_default(),
            frames: 0,
        });
        let office = std::mem::replace(&mut self.office, Office::Replica);
        match office {
            Office::Candidate(appender, _) if appender.trail().has(lane) => {
                self.take_office(lsn, *appender)?;
            }
            Office::Primary(primary) => self.leave_office(*primary),
            // Another came first: ours, if any, will be void.
            Office::Candidate(..) | Office::Replica => {}
        }
        if !self.is_in_doubt() {
            self.hub.stepped_down.store(false, Ordering::Relaxed);
        }
        self.stand();
        Ok(())
    }

    /// From here on they are planned by; whoever asks is told that what was granted before is old.
    fn observe_settings(&mut self) -> Result<(), Refusal> {
        let snapshot = self.folder.snapshot();
        let settings = self.hub.settings(snapshot)?;
        let lsn = state::settings_lsn(snapshot).map_err(view_failed)?;
        self.hub.settings_lsn.store(lsn, Ordering::Relaxed);
        if let Office::Primary(primary) = &mut self.office {
            primary.settings = settings;
        }
        Ok(())
    }

    /// FOLD-T2: the own `TermStarted` is folded; FOLD-S1: all leases begin anew.
    fn take_office(&mut self, term: u64, appender: Appender) -> Result<(), Refusal> {
        let snapshot = self.folder.snapshot();
        let ids = Ids::resume(snapshot).map_err(view_failed)?;
        let settings = self.hub.settings(snapshot)?;
        let open = state::sessions(snapshot).map_err(view_failed)?;
        let now = Now {
            own: self.hub.env.now(),
            log_time_us: snapshot.stamp.log_time_us,
        };
        self.sessions = Sessions::restart(open.iter().map(|session| session.session), now);
        tracing::info!(term, "own the shard");
        self.office = Office::Primary(Box::new(Primary {
            term,
            appender,
            overlay: Overlay::default(),
            ids,
            settings,
            in_flight: VecDeque::new(),
        }));
        Ok(())
    }

    /// Somebody else owns the shard, or the lane is lost. What is in flight is answered as it is folded.
    pub(crate) fn leave_office(&mut self, primary: Primary) {
        tracing::info!(term = primary.term, "no longer own the shard");
        self.give_up_orphans();
        let Primary {
            appender,
            in_flight,
            ..
        } = primary;
        let since = self.hub.env.now();
        self.orphans = Some(Orphans {
            trail: appender.trail().clone(),
            in_flight,
            since,
        });
        self.sessions = Sessions::default();
        self.upkeep.leave();
        (self.held, self.folded_ticket) = (false, self.last_ticket);
        self.blocked.clear();
        self.refusals.clear();
        self.stand();
        for id in self.ops.ids() {
            if self.ops.get(id).is_some_and(|op| !op.appended) {
                self.finish(id, Err(self.moved()));
            }
        }
    }

    /// FOLD-G4: they were not folded, so nobody is told that they are void.
    pub(crate) fn give_up_orphans(&mut self) {
        let Some(orphans) = self.orphans.take() else {
            return;
        };
        for lost in orphans.in_flight {
            let why = "its record was on its way when the term ended";
            self.finish(lost.op, Err(Refusal::new(Code::TimedOut, "request", why)));
        }
    }

    /// Tells everybody what this node is now.
    pub(crate) fn stand(&self) {
        let own_node = self.hub.owner.node_id;
        let role = match (&self.office, self.term) {
            (Office::Primary(_), _) => "primary",
            // Its own earlier incarnation cannot be asked: it is about to follow itself.
            (_, Some(term)) if term.owner.node_id != own_node && self.may_answer() => "replica",
            _ => "catching up",
        };
        let halted = self.hub.standing.load().halted.clone();
        self.hub.standing.store(Arc::new(Standing {
            role,
            term: self.term,
            halted,
        }));
    }

    fn may_answer(&self) -> bool {
        self.has_caught_up() && !self.is_in_doubt()
    }

    pub(crate) fn has_caught_up(&self) -> bool {
        self.folder.stamp().lsn + 1 >= self.end_at_start.unwrap_or(u64::MAX)
    }

    /// Somebody else answers for this, or this node a little later.
    pub(crate) fn moved(&self) -> Refusal {
        let own_node = self.hub.owner.node_id;
        let is_primary = matches!(self.office, Office::Primary(_));
        match self.term {
            Some(term) if is_primary || term.owner.node_id != own_node => {
                let why = "another materializer, or another term, is its primary";
                Refusal::new(Code::Moved, "shard 0", why)
                    .primary(self.hub.address_of(term.owner.node_id))
                    .at(self.folder.stamp().lsn)
            }
            _ => self.hub.published.stuck().unwrap_or_else(|| {
                Refusal::new(Code::Unavailable, "shard 0", "it has no primary yet")
            }),
        }
    }
}
