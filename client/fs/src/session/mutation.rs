//! One mutation, exactly once: one slot, as many attempts as it takes (FOLD-S3).

use std::sync::Arc;

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::slots::Slot;
use super::{Fresh, Grant, Session};
use crate::dialog::{Backoff, Dialog, Failed, asks_again, kind_of};
use crate::entry::Committed;

/// Attempts of one mutation whose answers are still listened to: those of a long fail-over.
const ATTEMPTS_HEARD_MAX: usize = 16;

impl Session {
    /// `what` names the object in refusals made here.
    pub(crate) async fn mutate(
        &self,
        what: &(dyn std::fmt::Display + Sync),
        mutate: v1::Mutate,
    ) -> Result<Committed, Refusal> {
        let op = Op::Mutate(mutate);
        let span = self.dialog.step("fs.mutate");
        if span.is_kept() {
            span.set("kind", kind_of(&op));
            span.set("path", what);
        }
        Box::pin(span.covers(self.mutate_once(what, op))).await
    }

    async fn mutate_once(
        &self,
        what: &(dyn std::fmt::Display + Sync),
        op: Op,
    ) -> Result<Committed, Refusal> {
        let deadline = self.dialog.deadline();
        let mut grant = self.grant(deadline).await?;
        loop {
            let mut mutation = self.begin(&grant, op.clone(), deadline).await?;
            match mutation.run(self, grant).await {
                Outcome::Committed(committed) => return Ok(committed),
                Outcome::Refused(refusal) => return Err(refusal),
                Outcome::Unknown(why) => return Err(unknown(what, &why)),
                // Nothing of it was ever accepted: again, under a new session.
                Outcome::SessionGone(generation, refusal) => {
                    grant = self.newer_than(generation, deadline).await?;
                    if grant.session == mutation.session {
                        // Another one is gone: that under which its extents were stored (FOLD-S4).
                        return Err(refusal);
                    }
                }
            }
        }
    }

    async fn begin(&self, grant: &Grant, op: Op, deadline: Instant) -> Result<Mutation, Refusal> {
        let left = self.dialog.left(deadline);
        let Ok(slot) = self.dialog.env.timeout(left, grant.slots.take()).await else {
            let why = "all slots of the session are in use";
            return Err(Refusal::new(Code::Unavailable, "a slot", why));
        };
        Ok(Mutation {
            dialog: self.dialog.clone(),
            fresh: self.fresh.clone(),
            op,
            slot: slot?,
            session: grant.session,
            attempt: 0,
            deadline,
            heard: FuturesUnordered::new(),
            sent: 0,
            unanswered: false,
            backoff: self.dialog.backoff(),
        })
    }
}

enum Outcome {
    Committed(Committed),
    /// It did not happen and will not.
    Refused(Refusal),
    Unknown(Refusal),
    /// The session of this grant is gone, and no attempt can have been accepted.
    SessionGone(u64, Refusal),
}

/// Which attempt, when it was sent, and what came of it.
type Heard = (u32, Instant, Result<v1::Answer, Failed>);

struct Mutation {
    dialog: Arc<Dialog>,
    fresh: Arc<Fresh>,
    op: Op,
    slot: Slot,
    session: u64,
    attempt: u32,
    deadline: Instant,
    heard: FuturesUnordered<BoxFuture<'static, Heard>>,
    /// Attempts that may have arrived.
    sent: u32,
    /// One of them is not answered.
    unanswered: bool,
    backoff: Backoff,
}

impl Mutation {
    async fn run(&mut self, session: &Session, mut grant: Grant) -> Outcome {
        loop {
            self.send(&grant);
            let refusal = match self.listen().await {
                Ok(committed) => return Outcome::Committed(committed),
                Err(refusal) => refusal,
            };
            let code = refusal.code();
            if code == Code::SessionGone {
                return if self.sent > 1 {
                    Outcome::Unknown(refusal)
                } else {
                    Outcome::SessionGone(grant.generation, refusal)
                };
            }
            if is_of_connection(code) {
                return self.give_up(refusal); // says nothing about attempts sent before it
            }
            if !asks_again(code) {
                // Also of an attempt that follows unanswered ones: it is recorded in the slot, and
                // they are dropped when they come late.
                return Outcome::Refused(refusal);
            }
            self.unanswered |= code == Code::TimedOut;
            if !self.backoff.pause(self.deadline).await {
                return self.give_up(refusal);
            }
            if code != Code::Busy && code != Code::Void {
                grant = match session.newer_than(grant.generation, self.deadline).await {
                    Ok(newer) if newer.session == self.session => newer,
                    Ok(_) if self.sent > 0 => return self.give_up(refusal),
                    Ok(newer) => return Outcome::SessionGone(newer.generation - 1, refusal),
                    Err(refusal) => return self.give_up(refusal),
                };
            }
        }
    }

    fn give_up(&self, refusal: Refusal) -> Outcome {
        if self.unanswered || !self.heard.is_empty() {
            Outcome::Unknown(refusal)
        } else {
            Outcome::Refused(refusal)
        }
    }

    /// Every send is a new attempt, under the term it is routed by.
    fn send(&mut self, grant: &Grant) {
        self.attempt += 1;
        self.sent += 1;
        let attempt = self.attempt;
        let slot = v1::SlotUse {
            session: self.session,
            shard: grant.shard,
            slot: self.slot.slot,
            seq: self.slot.seq,
            attempt,
            term: grant.term,
        };
        let (dialog, op, deadline) = (self.dialog.clone(), self.op.clone(), self.deadline);
        let primary = grant.primary.clone();
        if self.heard.len() >= ATTEMPTS_HEARD_MAX {
            self.unanswered = true;
            self.heard.clear();
        }
        self.heard.push(Box::pin(async move {
            let sent = dialog.env.now();
            let answered = dialog.ask_at(&primary, op, Some(slot), deadline).await;
            (attempt, sent, answered)
        }));
    }

    /// Until the last attempt is answered, or one of any attempt tells of success; a silent one is
    /// given up after a while, but goes on being listened to.
    async fn listen(&mut self) -> Result<Committed, Refusal> {
        let patience = self
            .dialog
            .config
            .attempt_timeout
            .min(self.dialog.left(self.deadline));
        let env = self.dialog.env.clone();
        let listened = env.timeout(patience, async {
            while let Some((attempt, sent, answered)) = self.heard.next().await {
                let outcome = self.weigh(sent, answered);
                if outcome.is_ok() || attempt == self.attempt {
                    return outcome;
                }
            }
            Err(Refusal::new(
                Code::Unavailable,
                "the primary",
                "it was not asked",
            ))
        });
        let silent = || Refusal::new(Code::TimedOut, "the primary", "it does not answer in time");
        listened.await.unwrap_or_else(|_| Err(silent()))
    }

    fn weigh(
        &mut self,
        sent: Instant,
        answered: Result<v1::Answer, Failed>,
    ) -> Result<Committed, Refusal> {
        let answer = match answered {
            Ok(answer) => answer,
            Err(Failed::NotSent(refusal)) => {
                self.sent -= 1;
                return Err(again_later(refusal));
            }
            Err(Failed::Unanswered(refusal)) => {
                self.unanswered = true;
                return Err(again_later(refusal));
            }
        };
        match answer.body {
            Some(Body::Done(done)) => {
                self.fresh.heard(sent, answer.settings_lsn);
                Ok(Committed {
                    lsn: answer.lsn,
                    log_time_us: answer.log_time_us,
                    inode: done.inode,
                    entries: done.entries,
                })
            }
            Some(Body::Refusal(refusal)) => {
                let refusal = Refusal::from(refusal);
                // What is final was judged by the primary; the rest comes from anybody on the way to it.
                if !asks_again(refusal.code()) && !is_of_connection(refusal.code()) {
                    self.fresh.heard(sent, answer.settings_lsn);
                }
                Err(refusal)
            }
            _ => Err(crate::ops::odd_answer("a mutation")),
        }
    }
}

/// Given by whoever answers at an address, before anything is asked; asking again does not help.
fn is_of_connection(code: Code) -> bool {
    matches!(code, Code::Mismatch | Code::Denied)
}

/// What a broken stream says is about the stream, never an answer to this request.
fn again_later(refusal: Refusal) -> Refusal {
    if asks_again(refusal.code()) || is_of_connection(refusal.code()) {
        return refusal;
    }
    Refusal::new(Code::Unavailable, "the primary", refusal.to_string())
}

fn unknown(what: &(dyn std::fmt::Display + Sync), why: &Refusal) -> Refusal {
    let why = format!("no answer in time ({why}); it may have happened, or happen still");
    let advice = "Look at it (stat) before you repeat it; a put may simply be run again";
    Refusal::new(Code::TimedOut, what.to_string(), why).advice(advice)
}
