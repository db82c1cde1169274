//! Refusals are reads: how one becomes true before it is answered (FOLD-P3), and what a slot keeps of it (FOLD-S3).
use dfs_wire::{Refusal, Tag, v1};
use prost::Message;

use super::config::{SHARD, TURN};
use super::ops::{Op, OpId, Work};
use super::shard::{Command, Gives, Office, Shard};
use crate::plan::Planned;

/// Refusals on their way to being true (FOLD-P3).
#[derive(Default)]
pub(crate) struct Refusals {
    waiting: Vec<Waiting>,
    /// The last round of `End` that was begun.
    round: u64,
    running: bool,
}

struct Waiting {
    op: OpId,
    refusal: Refusal,
    /// Everything planned up to here must be folded.
    after: u64,
    /// FOLD-P2: where exactly that was folded, and nothing planned later; there the refusal is true.
    lsn: Option<u64>,
    /// An `End` of this round was asked for after the request came.
    round: u64,
    /// What that `End` said.
    next_lsn: Option<u64>,
}

impl Refusals {
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// A plan is folded at this LSN.
    pub(crate) fn landed(&mut self, ticket: u64, lsn: u64) {
        let reached = |waiting: &&mut Waiting| waiting.lsn.is_none() && waiting.after <= ticket;
        let reached = self.waiting.iter_mut().filter(reached);
        reached.for_each(|waiting| waiting.lsn = Some(lsn));
    }
}

impl Shard {
    /// FOLD-S3: the refusal of an attempt > 1 goes into the slot, others are answered as reads are.
    pub(crate) fn refuse(&mut self, id: OpId, refusal: Refusal) -> Result<(), Refusal> {
        let (Office::Primary(primary), Some(op)) = (&self.office, self.ops.get(id)) else {
            return Ok(());
        };
        match &op.work {
            Work::Mutate { slot, .. } if slot.attempt > 1 && !refusal.is_retryable() => {
                let planned = recorded(op, slot, primary.term, &refusal);
                self.append(id, planned, Gives::Refusal(refusal), true)
            }
            _ => {
                self.refuse_later(id, refusal);
                Ok(())
            }
        }
    }

    /// FOLD-P3.
    pub(crate) fn refuse_later(&mut self, op: OpId, refusal: Refusal) {
        self.refuse_after(op, refusal, self.last_ticket);
    }

    /// One that relies on no record in flight, as for want of room: those may wait for room themselves.
    pub(crate) fn refuse_by_term(&mut self, op: OpId, refusal: Refusal) {
        self.refuse_after(op, refusal, 0);
    }

    fn refuse_after(&mut self, op: OpId, refusal: Refusal, after: u64) {
        let round = self.refusals.round + 1;
        let folded = self.folder.snapshot().stamp.lsn;
        let lsn = (after <= self.folded_ticket).then_some(folded);
        self.refusals.waiting.push(Waiting {
            op,
            refusal,
            after,
            lsn,
            round,
            next_lsn: None,
        });
        self.ask_end();
    }

    /// One `End` in flight serves all refusals that came before it.
    fn ask_end(&mut self) {
        if self.refusals.running {
            return;
        }
        self.refusals.running = true;
        self.refusals.round += 1;
        let (round, hub) = (self.refusals.round, self.hub.clone());
        self.hub.env.spawn("end", async move {
            loop {
                match hub.end().await {
                    Ok(end) => {
                        let told = Command::Ended {
                            round,
                            next_lsn: end.next_lsn,
                        };
                        let _ = hub.commands.send(told).await; // the loop ended
                        return;
                    }
                    Err(_) => hub.env.sleep(TURN).await,
                }
            }
        });
    }

    pub(crate) fn heard_end(&mut self, round: u64, next_lsn: u64) -> Result<(), Refusal> {
        self.refusals.running = false;
        let mut unheard = false;
        for waiting in &mut self.refusals.waiting {
            if waiting.round <= round {
                waiting.next_lsn.get_or_insert(next_lsn);
            } else {
                unheard = true;
            }
        }
        if unheard {
            self.ask_end();
        }
        self.answer_refusals()
    }

    /// The own term is still current, else nothing would wait here.
    pub(crate) fn answer_refusals(&mut self) -> Result<(), Refusal> {
        if self.is_in_doubt() {
            return Ok(()); // FOLD-X4b: what it was read from may be wrong
        }
        let applied = self.folder.snapshot().stamp.lsn;
        let folded_ticket = self.folded_ticket;
        let is_true = |waiting: &mut Waiting| {
            waiting.after <= folded_ticket
                && waiting
                    .next_lsn
                    .is_some_and(|next_lsn| applied + 1 >= next_lsn)
        };
        let answered: Vec<Waiting> = self.refusals.waiting.extract_if(.., is_true).collect();
        for Waiting {
            op, refusal, lsn, ..
        } in answered
        {
            let at = if refusal.get().lsn == 0 {
                refusal.at(lsn.unwrap_or(applied))
            } else {
                refusal
            };
            self.finish(op, Err(at));
        }
        Ok(())
    }
}

/// A record that changes nothing but the slot.
fn recorded(op: &Op, slot: &v1::SlotUse, term: u64, refusal: &Refusal) -> Planned {
    let outcome = v1::slot_result::Outcome::Refusal(refusal.get().clone());
    let record = v1::Record {
        mutations: Vec::new(),
        actor: op.by.actor.clone(),
        slot: Some(v1::SlotDone {
            session: slot.session,
            shard: slot.shard,
            slot: slot.slot,
            seq: slot.seq,
            attempt: slot.attempt,
            result: Some(v1::SlotResult {
                outcome: Some(outcome),
            }),
        }),
    };
    let own = v1::guard::Guard::Term(v1::TermGuard { shard: SHARD, term });
    let guards = v1::Guards {
        guards: vec![v1::Guard { guard: Some(own) }],
    };
    Planned {
        encoded: record.encode_to_vec().into(),
        record,
        tags: vec![Tag::shard(SHARD)],
        guards_encoded: guards.encode_to_vec().into(),
        guards,
        ordered: true,
        foreign: false,
        done: v1::Done::default(),
    }
}
