//! From a difference to a verdict: nothing is answered meanwhile, and whoever is wrong begins anew (FOLD-X4b).
use std::sync::Arc;
use std::time::Duration;

use dfs_wire::{Code, Refusal};
use tokio::time::Instant;

use super::votes::{self, Held, Verdict, verdict};
use crate::machinery::config::SHARD;
use crate::machinery::hub::Hub;
use crate::machinery::open::view_failed;
use crate::machinery::published::Doubt;
use crate::machinery::refold;
use crate::machinery::shard::{Command, Office, Shard};
use crate::machinery::suspect::Suspect;
use crate::state;

/// Others tell their digests within a turn or two; so long askers wait, then they are turned away.
const YOUNG_MAX: Duration = Duration::from_secs(1);
/// After a refold that could not be: units or the sequencer are away.
const REFOLD_AGAIN: Duration = Duration::from_secs(10);

/// The state from this LSN on may be wrong.
pub(super) struct Doubted {
    lsn: u64,
    since: Instant,
    /// It differs from what others told; else it has yet to be compared.
    differs: bool,
    refold: Refold,
}

enum Refold {
    NotBegun,
    Running,
    /// The log folds to what is held here: it is not this store that is wrong.
    Same,
    Failed(Instant),
}

impl Doubted {
    /// A state that was folded in place of a wrong one.
    pub(super) fn unproven(lsn: u64, now: Instant) -> Doubted {
        Doubted {
            lsn,
            since: now,
            differs: false,
            refold: Refold::NotBegun,
        }
    }

    fn is_young(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < YOUNG_MAX
    }

    fn wants_refold(&self, waits: bool, now: Instant) -> bool {
        match self.refold {
            Refold::NotBegun => !waits || !self.is_young(now),
            Refold::Failed(at) => now.saturating_duration_since(at) >= REFOLD_AGAIN,
            Refold::Running | Refold::Same => false,
        }
    }
}

impl Shard {
    /// Nothing is answered, planned or claimed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.digests.doubted.is_some()
    }

    /// After new digests, and at every turn of a doubt.
    pub(crate) fn judge_digests(&mut self) -> Result<(), Refusal> {
        if !std::mem::take(&mut self.digests.unjudged) && !self.is_in_doubt() {
            return Ok(());
        }
        #[cfg(test)]
        if crate::mutants::on(crate::mutants::Mutant::OddGoesOn) {
            return Ok(());
        }
        for (lsn, held, judged) in self.verdicts()? {
            match judged {
                Verdict::Open => continue,
                Verdict::Right { odd } => self.is_right(lsn, held, &odd)?,
                // What it has not folded yet may say that this is over.
                Verdict::Odd | Verdict::Split { .. } if !self.has_caught_up() => self.doubt(lsn),
                Verdict::Odd => return Err(self.give_up_state(lsn, held, true)),
                Verdict::Split { waits } => self.split(lsn, held, waits)?,
            }
            break; // a running digest: what is newer decides
        }
        self.say_doubt();
        Ok(())
    }

    /// (LSN, what is held here, what others make of it), newest first.
    fn verdicts(&self) -> Result<Vec<(u64, u64, Verdict)>, Refusal> {
        let snapshot = self.folder.snapshot();
        let replicas = state::replicas(snapshot, SHARD).map_err(view_failed)?;
        let (agreed_lsn, _) = self.agreed()?;
        let mut judged = Vec::new();
        let mut lsns = self.digests.votes.lsns();
        if lsns.is_empty() && self.is_in_doubt() {
            let every = self.folder.digest_every();
            lsns.push(snapshot.stamp.lsn - snapshot.stamp.lsn % every); // the only replica
        }
        for lsn in lsns {
            if let Some(held) = state::digest(snapshot, lsn).map_err(view_failed)? {
                let own = Held {
                    node_id: self.hub.owner.node_id,
                    digest: held,
                    begun_lsn: self.hub.begun_lsn(),
                };
                let told = self.digests.votes.at(lsn);
                judged.push((lsn, held, verdict(own, &told, &replicas, agreed_lsn)));
            }
        }
        Ok(judged)
    }

    fn is_right(&mut self, lsn: u64, held: u64, odd: &[u64]) -> Result<(), Refusal> {
        if !odd.is_empty() && lsn > self.digests.reported_lsn && self.has_caught_up() {
            self.digests.reported_lsn = lsn;
            let told = votes::listed(&self.digests.votes.at(lsn));
            tracing::error!(
                lsn,
                held = format!("{held:016x}"),
                told,
                ?odd,
                "digests differ: other replicas are odd and begin anew; this one goes on"
            );
        }
        self.digests.votes.forget_below(lsn);
        if self.digests.doubted.as_ref().is_some_and(|d| d.lsn <= lsn) {
            return self.end_doubt(lsn);
        }
        Ok(())
    }

    fn end_doubt(&mut self, lsn: u64) -> Result<(), Refusal> {
        tracing::info!(lsn, "the state agrees with that of other replicas");
        self.digests.doubted = None;
        self.hub.published.set_doubt(None);
        self.hub.proved();
        self.stand();
        self.answer_refusals()
    }

    fn doubt(&mut self, lsn: u64) {
        let now = self.hub.env.now();
        let doubted = self
            .digests
            .doubted
            .get_or_insert_with(|| Doubted::unproven(lsn, now));
        doubted.differs = true;
    }

    /// Neither side may be taken as right: both stop answering, and the log is folded again beside the store.
    fn split(&mut self, lsn: u64, held: u64, waits: bool) -> Result<(), Refusal> {
        let was_known = self.digests.doubted.as_ref().is_some_and(|d| d.differs);
        self.doubt(lsn);
        if !was_known {
            let told = votes::listed(&self.digests.votes.at(lsn));
            let held = format!("{held:016x}");
            tracing::error!(lsn, held, told, "digests differ: stop answering");
        }
        let agreed = self.agreed()?;
        let now = self.hub.env.now();
        if let Some(doubted) = &mut self.digests.doubted
            && doubted.wants_refold(waits, now)
        {
            doubted.refold = Refold::Running;
            let task = refold_aside(self.hub.clone(), lsn, agreed);
            self.hub.env.spawn("refold aside", task);
        }
        Ok(())
    }

    /// (LSN, digest).
    fn agreed(&self) -> Result<(u64, u64), Refusal> {
        state::agreed(self.folder.snapshot(), SHARD).map_err(view_failed)
    }

    /// Whoever differs from its own refold is wrong; if this one does not, the other may have.
    pub(crate) fn refolded(
        &mut self,
        lsn: u64,
        outcome: Result<u64, Refusal>,
    ) -> Result<(), Refusal> {
        let now = self.hub.env.now();
        let held = state::digest(self.folder.snapshot(), lsn).map_err(view_failed)?;
        let told = votes::listed(&self.digests.votes.at(lsn));
        let Some(doubted) = &mut self.digests.doubted else {
            return Ok(()); // others have told since
        };
        match (outcome, held) {
            (Ok(refolded), Some(held)) if refolded != held => {
                return Err(self.give_up_state(lsn, held, false));
            }
            (Ok(_), _) => {
                doubted.refold = Refold::Same;
                let build = env!("CARGO_PKG_VERSION");
                tracing::error!(
                    lsn,
                    build,
                    told,
                    "digests differ: a refold gives what is held here; answer nothing until others agree"
                );
            }
            (Err(refusal), _) => {
                doubted.refold = Refold::Failed(now);
                tracing::warn!(%refusal, lsn, "cannot fold the log again; try again later");
            }
        }
        Ok(())
    }

    /// FOLD-X4b: the role ends; it is opened on a state that is folded anew.
    fn give_up_state(&mut self, lsn: u64, held: u64, by_majority: bool) -> Refusal {
        let told = votes::listed(&self.digests.votes.at(lsn));
        let agreed_lsn = match self.agreed() {
            Ok((agreed_lsn, _)) => agreed_lsn,
            Err(unreadable) => return unreadable,
        };
        self.gave_up = true;
        let attempt = self.hub.suspect().map_or(0, |suspect| suspect.attempt) + 1;
        self.hub.suspect_state(Suspect {
            lsn,
            agreed_lsn,
            by_majority,
            attempt,
        });
        let what = format!("the state at LSN {lsn}");
        let why = format!(
            "digests differ: this replica is the odd one, with {held:016x}; told were {told}"
        );
        Refusal::new(Code::Corrupt, what, why).advice(
            "It is set aside and folded again by itself; look at this node's disk and memory",
        )
    }

    /// Says so to whoever asks, in time.
    fn say_doubt(&mut self) {
        let Some(doubted) = &self.digests.doubted else {
            return;
        };
        let why = match doubted.differs {
            true => "another replica folded the log to another digest",
            false => "a state in place of a wrong one has yet to agree with the others'",
        };
        let why = Refusal::new(
            Code::Unavailable,
            format!("the state at LSN {}", doubted.lsn),
            why,
        )
        .advice("Ask another replica; see the log of this one");
        let is_young = doubted.is_young(self.hub.env.now());
        if !is_young && let Office::Primary(_) = self.office {
            self.turn_away(&why);
        }
        self.hub.published.set_doubt(Some(Doubt { why, is_young }));
        self.stand();
    }

    /// What is not appended has not happened: it is asked again.
    fn turn_away(&mut self, why: &Refusal) {
        for id in self.ops.ids() {
            if self.ops.get(id).is_some_and(|op| !op.appended) {
                self.finish(id, Err(why.clone()));
            }
        }
    }

    /// Of a primary: requests wait for the verdict while it is near.
    pub(crate) fn holds_requests(&self) -> bool {
        let doubted = self.digests.doubted.as_ref();
        doubted.is_some_and(|doubted| doubted.is_young(self.hub.env.now()))
    }
}

async fn refold_aside(hub: Arc<Hub>, lsn: u64, agreed: (u64, u64)) {
    let outcome = refold::aside(&hub, lsn, agreed).await;
    let _ = hub.commands.send(Command::Refolded { lsn, outcome }).await; // the loop ended
}
