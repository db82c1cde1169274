//! Replicas tell each other their digests through the log, and stop when they differ (FOLD-X4b).
use std::sync::Arc;

use dfs_log::{Appender, Draft};
use dfs_wire::{Code, Refusal};

use super::config::SHARD;
use super::hub::Hub;
use super::open::view_failed;
use super::shard::{Command, Office, Shard};
use crate::fold::Folded;
use crate::plan::control;
use crate::state;

/// FOLD-X4: digests are recorded at multiples of this.
const EVERY_LSNS: u64 = 4096;

/// What this replica has told.
#[derive(Default)]
pub(crate) struct Digests {
    told_lsn: Option<u64>,
    /// A replica that is not the primary needs a lane of its own; it is opened when first needed.
    lane: Option<Box<Appender>>,
    opening: bool,
}

impl Shard {
    /// Of two replicas that differ neither may be taken as right: both stop.
    pub(crate) fn compare_digests(&self, folded: &Folded) -> Result<(), Refusal> {
        for (taken, held) in &folded.digests {
            if held.is_some_and(|held| held != taken.digest) {
                let what = format!("the state at LSN {}", taken.lsn);
                let why = format!("node {} folded it to another digest", taken.node_id);
                return Err(Refusal::new(Code::State, what, why).advice(
                    "Run `verify digest` on both nodes; delete the store of the one that differs",
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn tell_digest(&mut self) -> Result<(), Refusal> {
        let snapshot = self.folder.snapshot();
        let newest = snapshot.stamp.lsn - snapshot.stamp.lsn % EVERY_LSNS;
        let told = *self.digests.told_lsn.get_or_insert(newest);
        if newest <= told || self.is_stopping() {
            return Ok(());
        }
        let node_id = self.hub.owner.node_id;
        let replicas = state::replicas(snapshot, SHARD).map_err(view_failed)?;
        let digest = state::digest(snapshot, newest).map_err(view_failed)?;
        let Some(digest) = digest.filter(|_| replicas.len() > 1 && replicas.contains(&node_id))
        else {
            return Ok(());
        };
        let lane = match (&self.office, &self.digests.lane) {
            (Office::Primary(primary), _) => &primary.appender,
            (_, Some(lane)) => lane,
            _ => {
                self.open_digest_lane();
                return Ok(());
            }
        };
        let planned = control::digest_taken(SHARD, node_id, newest, digest);
        let draft = Draft {
            tags: planned.tags,
            guards: planned.guards_encoded,
            order: None,
            record: planned.encoded,
            privileged: false,
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
