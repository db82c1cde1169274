//! Where extents of snapshots lie: told by the own loop when they are stored, by a list when they are loaded.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dfs_extents::{Extents, ExtentsConfig, Placer};
use dfs_wire::{Code, Refusal, v1};

use crate::machinery::hub::Hub;
use crate::machinery::open::view_failed;
use crate::machinery::ops::Work;
use crate::machinery::placing::Units;
use crate::machinery::streams::Body;
use crate::state;

/// A placement is a plan or an answer of the own loop.
pub(super) const ASK_MAX: Duration = Duration::from_secs(30);
/// On their way to or from units: two extents each way, beside the one chunk that is made or read.
const BYTES_ON_THE_WAY: u64 = 16 << 20;

pub(super) fn extents(hub: &Hub, placer: Arc<dyn Placer>) -> Result<Extents, Refusal> {
    let why = "this materializer knows no log units";
    let units = hub.units.clone();
    let units = units.ok_or_else(|| Refusal::new(Code::State, "snapshot", why))?;
    let config = ExtentsConfig {
        write_bytes: BYTES_ON_THE_WAY,
        ahead_bytes: BYTES_ON_THE_WAY,
        ..ExtentsConfig::default()
    };
    Ok(Extents::new(hub.env.clone(), units, placer, config))
}

/// Of a primary, under a session of its own.
pub(super) struct Own {
    pub(super) hub: Arc<Hub>,
    pub(super) session: u64,
    pub(super) given: AtomicU64,
}

#[async_trait]
impl Placer for Own {
    async fn place(
        &self,
        redundancy: Option<v1::Redundancy>,
        failed_groups: Vec<u64>,
    ) -> Result<v1::Placement, Refusal> {
        let place = v1::Place {
            redundancy,
            failed_groups,
        };
        let deadline = self.hub.env.now() + ASK_MAX;
        let answered = self.hub.ask_loop(Work::Place(place), deadline).await?;
        match answered.body {
            Body::Placement(placement) => Ok(placement),
            _ => Err(Refusal::new(Code::Unavailable, "placement", "no answer")),
        }
    }

    async fn groups(&self, ids: Vec<u64>) -> Result<v1::Placement, Refusal> {
        let newest = self.hub.published.newest()?;
        let mut groups = Vec::with_capacity(ids.len());
        for id in ids {
            groups.extend(state::group(&*newest, id).map_err(view_failed)?);
        }
        Ok(placement(&self.hub, groups))
    }

    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal> {
        let counter = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let session = self.session;
        Ok(v1::ExtentId { session, counter })
    }
}

/// As a list names them; addresses are those of Members.
pub(super) struct Listed {
    pub(super) hub: Arc<Hub>,
    pub(super) groups: Vec<v1::Group>,
}

#[async_trait]
impl Placer for Listed {
    async fn place(
        &self,
        _: Option<v1::Redundancy>,
        _: Vec<u64>,
    ) -> Result<v1::Placement, Refusal> {
        Err(only_loads())
    }

    async fn groups(&self, ids: Vec<u64>) -> Result<v1::Placement, Refusal> {
        let wanted = |group: &&v1::Group| ids.contains(&group.group);
        let groups = self.groups.iter().filter(wanted).cloned().collect();
        Ok(placement(&self.hub, groups))
    }

    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal> {
        Err(only_loads())
    }
}

fn placement(hub: &Hub, groups: Vec<v1::Group>) -> v1::Placement {
    let units = Units::new(&hub.members()).of(&groups);
    v1::Placement { groups, units }
}

fn only_loads() -> Refusal {
    Refusal::new(Code::State, "placement", "a snapshot is only loaded here")
}
