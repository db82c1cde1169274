//! Replicas tell each other their digests through the log; the odd one is found out (FOLD-X4b).
//!
//! - `votes.rs`: who is the odd one: pure
//! - `doubt.rs`: what is done about it
mod doubt;
mod votes;

use std::sync::Arc;

use dfs_log::{Appender, Draft};
use dfs_wire::{Refusal, v1};

use super::config::SHARD;
use super::hub::Hub;
use super::open::view_failed;
use super::shard::{Command, Office, Shard};
use super::suspect::Suspect;
use crate::fold::Folded;
use crate::plan::control;
use crate::state;
use crate::view::Snapshot;
use doubt::Doubted;
use votes::Votes;

/// What this replica has told, and what it was told.
#[derive(Default)]
pub(crate) struct Digests {
    /// By this process.
    told_lsn: Option<u64>,
    /// A replica that is not the primary needs a lane of its own; it is opened when first needed.
    lane: Option<Box<Appender>>,
    opening: bool,
    votes: Votes,
    /// Something new was told, or folded, since it was judged.
    unjudged: bool,
    /// Up to where somebody else was reported as the odd one.
    reported_lsn: u64,
    doubted: Option<Doubted>,
}

impl Digests {
    /// With what the store remembers of what was told.
    pub(crate) fn open(hub: &Hub, snapshot: &Snapshot) -> Result<Digests, Refusal> {
        let mut digests = Digests::default();
        for told in state::digests_told(snapshot, SHARD).map_err(view_failed)? {
            digests.votes.tell(&v1::DigestTaken {
                shard: SHARD,
                node_id: told.node_id,
                lsn: told.lsn,
                digest: told.digest,
                build: String::new(),
                begun_lsn: told.begun_lsn,
            });
        }
        digests.unjudged = true;
        if let Some(Suspect { lsn, .. }) = hub.suspect().filter(|suspect| suspect.lsn > 0) {
            digests.doubted = Some(Doubted::unproven(lsn, hub.env.now()));
        }
        Ok(digests)
    }
}

impl Shard {
    pub(super) fn note_digests(&mut self, folded: &Folded) {
        for (taken, held) in &folded.digests {
            if taken.shard == SHARD {
                if let Some(held) = held {
                    self.hub.metrics.compared(*held == taken.digest);
                }
                self.digests.votes.tell(taken);
                self.digests.unjudged = true;
            }
        }
    }

    pub(crate) fn tell_digest(&mut self) -> Result<(), Refusal> {
        let snapshot = self.folder.snapshot();
        let every = self.folder.digest_every();
        let newest = snapshot.stamp.lsn - snapshot.stamp.lsn % every;
        if newest == 0 || self.digests.told_lsn == Some(newest) || self.is_stopping() {
            return Ok(());
        }
        let node_id = self.hub.owner.node_id;
        let replicas = state::replicas(snapshot, SHARD).map_err(view_failed)?;
        let digest = state::digest(snapshot, newest).map_err(view_failed)?;
        let Some(digest) = digest.filter(|_| replicas.len() > 1 && replicas.contains(&node_id))
        else {
            return Ok(());
        };
        // By an earlier process, or before the state was folded anew: others may wait for this one's word.
        let said = state::digests_told(snapshot, SHARD).map_err(view_failed)?;
        let begun_lsn = self.hub.begun_lsn();
        let is_it = |told: &v1::DigestTold| {
            (told.lsn, told.digest, told.begun_lsn) == (newest, digest, begun_lsn)
        };
        if said
            .iter()
            .any(|told| told.node_id == node_id && is_it(told))
        {
            self.digests.told_lsn = Some(newest);
            return Ok(());
        }
        let lane = match (&self.office, &self.digests.lane) {
            (Office::Primary(primary), _) => &primary.appender,
            (_, Some(lane)) => lane,
            _ => {
                self.open_digest_lane();
                return Ok(());
            }
        };
        let planned = control::digest_taken(SHARD, node_id, (newest, digest), begun_lsn);
        let draft = Draft {
            tags: planned.tags,
            guards: planned.guards_encoded,
            order: None,
            record: planned.encoded,
            privileged: false,
            trace: None,
        };
        match lane.try_append(draft) {
            Ok(Ok(_)) => self.digests.told_lsn = Some(newest),
            Ok(Err(_full)) => {}
            Err(_) => self.digests.lane = None, // lost: another is opened at the next turn
        }
        Ok(())
    }

    fn open_digest_lane(&mut self) {
        if !self.digests.opening {
            self.digests.opening = true;
            self.hub
                .env
                .spawn("digest lane", open_lane(self.hub.clone()));
        }
    }

    pub(crate) fn take_digest_lane(&mut self, lane: Option<Box<Appender>>) -> Result<(), Refusal> {
        self.digests.opening = false;
        self.digests.lane = lane;
        self.tell_digest()
    }
}

async fn open_lane(hub: Arc<Hub>) {
    let lane = hub.log.appender(hub.owner).await.ok().map(Box::new);
    let _ = hub.commands.send(Command::DigestLane(lane)).await; // the loop ended
}
