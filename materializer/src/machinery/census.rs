//! Which groups that have units away hold nothing any more, counted beside the loop; nothing is counted while all are well.
//!
//! The block map is kept by extent, so an answer takes a walk through it; who has files in the groups asked for is
//! mostly found at once, and the walk ends.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dfs_wire::{Refusal, v1};

use super::hub::Hub;
use super::open::view_failed;
use super::placing::Units;
use crate::state;

/// Alerts wait for minutes.
const EVERY: Duration = Duration::from_secs(5);
/// So many times as long as it took, nothing is counted: about a sixtieth of one thread, however large the map.
const REST: u32 = 20;
/// Rows looked at between two pauses: about a millisecond.
const ROWS_PER_STEP: usize = 1024;
const PAUSE: Duration = Duration::from_millis(2);

/// Until the role ends.
pub(crate) async fn run(hub: Arc<Hub>) {
    let mut rest = EVERY;
    loop {
        hub.env.sleep(rest).await;
        let begun = hub.env.now();
        match count(&hub).await {
            Ok(Some(empty)) => hub.empty_groups.store(Arc::new(empty)),
            Ok(None) => {} // the role ends, or doubts its state
            Err(refusal) => return hub.fail(refusal),
        }
        let took = hub.env.now().saturating_duration_since(begun);
        rest = EVERY.max(took * REST);
    }
}

/// Those of the groups in question in which nothing lies.
async fn count(hub: &Hub) -> Result<Option<BTreeSet<u64>>, Refusal> {
    let Ok(newest) = hub.published.newest() else {
        return Ok(None);
    };
    let groups = state::groups(&*newest).map_err(view_failed)?;
    drop(newest);
    let mut empty = in_question(&groups, &hub.members());
    let mut from = Vec::new();
    while !empty.is_empty() {
        let Ok(newest) = hub.published.newest() else {
            return Ok(None);
        };
        let looked = hub
            .env
            .blocking(move || state::held(&*newest, &from, ROWS_PER_STEP));
        let (held, next) = looked.await.map_err(view_failed)?;
        empty.retain(|group| !held.contains(group));
        let Some(next) = next else { break };
        from = next;
        hub.env.sleep(PAUSE).await;
    }
    Ok(Some(empty))
}

fn in_question(groups: &[v1::Group], members: &v1::Members) -> BTreeSet<u64> {
    let units = Units::new(members);
    let asked = groups
        .iter()
        .filter(|group| units.is_broken(group) || units.is_short(group));
    asked.map(|group| group.group).collect()
}

/// What was counted last, with the units as they are now.
pub(crate) fn tell(hub: &Hub, answer: &mut v1::MaterializerStatusAnswer) {
    let (members, empty) = (hub.members(), hub.empty_groups.load());
    let units = Units::new(&members);
    for group in &answer.groups {
        let id = group.group;
        let is_asked = units.is_broken(group) || units.is_short(group);
        if is_asked && empty.contains(&id) {
            answer.empty_groups.push(id);
        } else if units.is_short(group) {
            answer.short_groups.push(id);
        }
    }
}
