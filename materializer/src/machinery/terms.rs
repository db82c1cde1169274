//! Who owns the shard: when this node campaigns (FOLD-T0…T4), and what it needs for that.
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dfs_log::{Appender, Draft};
use dfs_wire::{Refusal, v1};
use tokio::time::Instant;

use super::config::SHARD;
use super::hub::Hub;
use super::open::view_failed;
use super::shard::{Command, Office, Shard};
use crate::plan::{Ticket, control};
use crate::state::{self, Term};

/// FOLD-T3: so far behind the end a candidate may be.
const BEHIND_MAX: u64 = 1000;
/// FOLD-T3: between two candidates of neighbouring rank.
const RANK_WAIT: Duration = Duration::from_millis(100);
/// What a restarted owner gets to fold and to campaign again.
const ITSELF_WAIT: Duration = Duration::from_secs(1);
/// FOLD-T4: how long a record may be on its way while the sequencer answers.
const UNFOLDED_MAX: Duration = Duration::from_secs(2);
/// An answer that takes longer is none.
const PROBE_MAX: Duration = Duration::from_millis(500);
/// After a failed attempt to get a lane.
const RETRY: Duration = Duration::from_millis(200);

/// What the first owner writes, and this node's rank.
pub(crate) struct Genesis {
    pub(crate) cluster_id: Bytes,
    pub(crate) settings: v1::Settings,
    pub(crate) rank: u32,
}

/// What a node that is not the primary should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Wait,
    /// FOLD-T0: there is no term yet.
    Genesis,
    /// FOLD-T3: `TermStarted{prev_term}`.
    Campaign {
        prev_term: u64,
        turn: Turn,
    },
}

/// When a campaign's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    AtOnce,
    /// In the order of ranks.
    Rank,
    /// The owner's process runs again: it comes first, as it need not wait.
    AfterItself,
}

/// Pure: from folded CONTROL and Members.
pub(crate) fn claim(
    owner: &v1::Owner,
    term: Option<Term>,
    replicas: &[u64],
    members: &v1::Members,
) -> Claim {
    let Some(term) = term else {
        return Claim::Genesis;
    };
    if !replicas.contains(&owner.node_id) {
        return Claim::Wait;
    }
    let prev_term = term.lsn;
    if term.owner.node_id == owner.node_id {
        // An earlier incarnation of this node, or this one after its lane was lost.
        return Claim::Campaign {
            prev_term,
            turn: Turn::AtOnce,
        };
    }
    match turn_after(&term.owner, members) {
        Some(turn) => Claim::Campaign { prev_term, turn },
        None => Claim::Wait,
    }
}

/// FOLD-T3: level-triggered; a Members that does not know the owner says nothing.
fn turn_after(owner: &v1::Owner, members: &v1::Members) -> Option<Turn> {
    let member = members
        .members
        .iter()
        .find(|member| member.node_id == owner.node_id)?;
    if member.gone || member.stepped_down.contains(&SHARD) {
        return Some(Turn::Rank);
    }
    (member.incarnation != owner.incarnation).then_some(Turn::AfterItself)
}

/// FOLD-T4: somebody else could take over.
pub(crate) fn has_heir(owner: &v1::Owner, replicas: &[u64], members: &v1::Members) -> bool {
    members.members.iter().any(|member| {
        member.node_id != owner.node_id
            && !member.gone
            && !member.stepped_down.contains(&SHARD)
            && replicas.contains(&member.node_id)
    })
}

/// Waits its turn and opens a lane for the term to be (FOLD-T2: one lane per term). Beside the loop.
pub(crate) async fn prepare(hub: Arc<Hub>, claim: Claim, rank: u32) {
    let outcome = lane_for(&hub, claim, rank).await;
    if let Err(refusal) = &outcome {
        tracing::info!(%refusal, "try again to get a lane for a campaign");
        hub.env.sleep(RETRY).await;
    }
    let told = Command::Lane(claim, outcome.ok().map(Box::new));
    let _ = hub.commands.send(told).await; // the loop ended
}

async fn probe(hub: Arc<Hub>, ticket: Ticket) {
    let answers = hub
        .env
        .timeout(PROBE_MAX, hub.end())
        .await
        .is_ok_and(|end| end.is_ok());
    let _ = hub.commands.send(Command::Probed(ticket, answers)).await; // the loop ended
}

async fn lane_for(hub: &Hub, claim: Claim, rank: u32) -> Result<Appender, Refusal> {
    let (behind, wait) = match claim {
        // Nobody else hurries: what the log already says is folded first.
        Claim::Wait | Claim::Genesis => (0, Duration::ZERO),
        Claim::Campaign {
            turn: Turn::AtOnce, ..
        } => (0, Duration::ZERO),
        Claim::Campaign {
            turn: Turn::Rank, ..
        } => (BEHIND_MAX, RANK_WAIT * rank),
        Claim::Campaign {
            turn: Turn::AfterItself,
            ..
        } => (BEHIND_MAX, ITSELF_WAIT + RANK_WAIT * rank),
    };
    let end = hub.end().await?;
    hub.published
        .at_least((end.next_lsn - 1).saturating_sub(behind))
        .await?;
    hub.env.sleep(wait).await;
    hub.log.appender(hub.owner).await
}

impl Shard {
    fn claim(&self) -> Result<Claim, Refusal> {
        let replicas = state::replicas(self.folder.snapshot(), SHARD).map_err(view_failed)?;
        Ok(claim(
            &self.hub.owner,
            self.term,
            &replicas,
            &self.hub.members(),
        ))
    }

    /// FOLD-T3: asked again at every turn, while this node is a replica.
    pub(crate) fn consider_claim(&mut self) -> Result<(), Refusal> {
        if self.upkeep.claiming
            || self.is_stopping()
            || self.is_in_doubt()
            || self.leaves_it_to_another()?
        {
            return Ok(());
        }
        let claim = self.claim()?;
        if claim != Claim::Wait {
            self.upkeep.claiming = true;
            let task = prepare(self.hub.clone(), claim, self.genesis.rank);
            self.hub.env.spawn("campaign", task);
        }
        Ok(())
    }

    fn has_heir(&self) -> Result<bool, Refusal> {
        let replicas = state::replicas(self.folder.snapshot(), SHARD).map_err(view_failed)?;
        Ok(has_heir(&self.hub.owner, &replicas, &self.hub.members()))
    }

    /// FOLD-T4: after a step-down, as long as there is another who can.
    fn leaves_it_to_another(&self) -> Result<bool, Refusal> {
        let stepped_down = self.hub.stepped_down.load(Ordering::Relaxed);
        if !stepped_down || self.has_heir()? {
            return Ok(stepped_down);
        }
        self.hub.stepped_down.store(false, Ordering::Relaxed);
        Ok(false)
    }

    /// FOLD-T4: is the sequencer there, while nothing of ours is cut or folded? A full disk is another matter.
    pub(crate) fn suspect_own_lane(&mut self, now: Instant) -> Result<(), Refusal> {
        let Office::Primary(primary) = &self.office else {
            return Ok(());
        };
        let Some(first) = primary.in_flight.front() else {
            return Ok(());
        };
        let stuck = now.saturating_duration_since(first.since) > UNFOLDED_MAX;
        if !stuck || self.upkeep.probing || !primary.appender.room().is_enough() {
            return Ok(());
        }
        let ticket = first.ticket;
        if self.has_heir()? {
            self.upkeep.probing = true;
            self.hub.env.spawn("probe", probe(self.hub.clone(), ticket));
        }
        Ok(())
    }

    /// The sequencer answered, or did not, while the plan of this ticket was stuck.
    pub(crate) fn probed(&mut self, ticket: Ticket, answers: bool) -> Result<(), Refusal> {
        self.upkeep.probing = false;
        let office = std::mem::replace(&mut self.office, Office::Replica);
        match office {
            Office::Primary(primary) if answers && primary.is_stuck_at(ticket) => {
                tracing::warn!(
                    term = primary.term,
                    "step down: records are not cut or folded"
                );
                self.hub.stepped_down.store(true, Ordering::Relaxed);
                self.leave_office(*primary);
            }
            office => self.office = office,
        }
        Ok(())
    }

    /// The lane is here; whether it is still wanted is judged anew.
    pub(crate) fn take_lane(
        &mut self,
        claim: Claim,
        lane: Option<Appender>,
    ) -> Result<(), Refusal> {
        self.upkeep.claiming = false;
        let Some(appender) = lane else { return Ok(()) };
        let is_replica = matches!(self.office, Office::Replica);
        if !is_replica || self.is_stopping() || self.is_in_doubt() || self.claim()? != claim {
            return Ok(());
        }
        let owner = self.hub.owner;
        let planned = match claim {
            Claim::Wait => return Ok(()),
            Claim::Genesis => {
                let (id, settings) = (&self.genesis.cluster_id, self.genesis.settings);
                control::genesis(id, settings, &[owner.node_id], owner)
            }
            Claim::Campaign { prev_term, .. } => control::term_started(SHARD, prev_term, owner),
        };
        let draft = Draft {
            tags: planned.tags,
            guards: planned.guards_encoded,
            order: None,
            record: planned.encoded,
            privileged: true, // FOLD-T5
            trace: None,
        };
        if let Ok(Ok(cut)) = appender.try_append(draft) {
            self.office = Office::Candidate(Box::new(appender), cut);
        }
        Ok(())
    }
}
