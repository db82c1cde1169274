//! Own lanes whose cuts were missed: units' stamps tell their LSNs, beside the stream of cuts, which never waits for it.
use std::collections::BTreeMap;
use std::sync::Arc;

use dfs_wire::{Refusal, v1};

use super::hub::Hub;
use super::lane::Lane;
use super::reader::Reader;
use super::retry;
use crate::appender::FramePlace;
use crate::follower::Follower;
use crate::shared_log::{Event, Follow, Lsn};

/// What the stream of cuts said meanwhile, per lane: some seconds of a busy lane. Past it the stream begins
/// anew, and its Base says all of it at once.
const LATER_MAX: usize = 16_384;

/// Lanes of this process that are behind the cuts that were heard.
#[derive(Default)]
pub(super) struct Finding {
    lanes: BTreeMap<u64, Behind>,
    /// The LSNs in [from, to) are looked through.
    from: Lsn,
    to: Lsn,
    /// Counts the searches: a later one has taken over an earlier one's lanes.
    round: u64,
}

struct Behind {
    lane: Arc<Lane>,
    /// Cuts of the lane, true only after what is still looked for.
    later: Vec<(v1::CutLane, FramePlace)>,
}

impl Finding {
    pub(super) fn holds(&self, lane: u64) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// These lanes miss cuts in [from, to); an earlier search goes on with them. Its round.
    pub(super) fn begin(&mut self, lanes: Vec<Arc<Lane>>, from: Lsn, to: Lsn) -> u64 {
        let earliest = if self.lanes.is_empty() {
            from
        } else {
            self.from.min(from)
        };
        (self.from, self.to, self.round) = (earliest, to, self.round + 1);
        // What was said of them lies below `to` now.
        self.lanes.values_mut().for_each(|held| held.later.clear());
        for lane in lanes {
            let later = Vec::new();
            self.lanes.insert(lane.id(), Behind { lane, later });
        }
        self.round
    }

    pub(super) fn has_room(&self, lane: u64) -> bool {
        let held = self.lanes.get(&lane);
        held.is_none_or(|held| held.later.len() < LATER_MAX)
    }

    pub(super) fn cut(&mut self, run: v1::CutLane, place: FramePlace) {
        if let Some(held) = self.lanes.get_mut(&run.lane) {
            held.later.push((run, place));
        }
    }
}

impl Behind {
    /// Everything before is found: what was said since is true now.
    fn catch_up(self, hub: &Hub) {
        for (run, place) in self.later {
            match self.lane.cut(&run, place) {
                Some(settled) => self.lane.answer(settled),
                None => hub.forget_lane(self.lane.id()),
            }
        }
    }
}

/// Looks until all is found, a later search takes over, or the log says that it is lost.
pub(super) async fn run(hub: Arc<Hub>, round: u64) {
    let searched = search(&hub, round).await;
    if let Err(refusal) = searched {
        tracing::error!(%refusal, "records of this process were cut, and cannot be found");
        for held in hub.with_finding(|finding| finding.take_all(round)) {
            held.lane.lose(&refusal);
            hub.forget_lane(held.lane.id());
        }
        return;
    }
    // While this is told, the stream of cuts may say more.
    while let Some(lanes) = hub.with_finding(|finding| finding.take_said(round)) {
        lanes.into_iter().for_each(|held| held.catch_up(&hub));
    }
}

async fn search(hub: &Arc<Hub>, round: u64) -> Result<(), Refusal> {
    let (from, to) = hub.with_finding(|finding| (finding.from, finding.to));
    let mut follower = follow(hub, from);
    let mut failures = 0;
    while hub.with_finding(|finding| finding.round == round) {
        let batch = match follower.next().await {
            Ok(batch) => batch,
            Err(refusal) if !refusal.is_retryable() => return Err(refusal),
            Err(_) => {
                failures += 1;
                hub.env.sleep(retry::pause(failures)).await;
                follower = follow(hub, from); // what was found is no news
                continue;
            }
        };
        for event in batch.events {
            match event {
                Event::Frame(at) if at.first_lsn < to => {
                    let id = at.frame.header.lane;
                    let lane = hub.with_finding(|finding| finding.lane(round, id));
                    lane.into_iter().for_each(|lane| lane.found(&at));
                }
                Event::Through { lsn, .. } if lsn + 1 >= to => return Ok(()),
                _ => {}
            }
        }
    }
    Ok(())
}

fn follow(hub: &Arc<Hub>, from: Lsn) -> Follower {
    let what = Follow {
        tags: Vec::new(),
        own: false,
    };
    Follower::new(Reader::new(hub.clone(), from, what))
}

impl Finding {
    fn lane(&self, round: u64, id: u64) -> Option<Arc<Lane>> {
        let held = self.lanes.get(&id).filter(|_| self.round == round)?;
        Some(held.lane.clone())
    }

    fn take_all(&mut self, round: u64) -> Vec<Behind> {
        if self.round != round {
            return Vec::new();
        }
        std::mem::take(&mut self.lanes).into_values().collect()
    }

    /// What was said of the lanes; those of which nothing was said are let go, in the same step in
    /// which nothing more can be said of them here. `None`: nothing is left to do.
    fn take_said(&mut self, round: u64) -> Option<Vec<Behind>> {
        if self.round != round {
            return None;
        }
        self.lanes.retain(|_, held| !held.later.is_empty());
        if self.lanes.is_empty() {
            return None;
        }
        let said = self.lanes.values_mut().map(|held| Behind {
            lane: held.lane.clone(),
            later: std::mem::take(&mut held.later),
        });
        Some(said.collect())
    }
}
