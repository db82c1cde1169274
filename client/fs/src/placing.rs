//! What `dfs-extents` asks the primary of shard 0: open groups, members of groups, ids.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use dfs_extents::Placer;
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};

use crate::dialog::Dialog;
use crate::ops::odd_answer;
use crate::session::Session;

pub(crate) struct Placing {
    dialog: Arc<Dialog>,
    session: Arc<Session>,
}

impl Placing {
    pub(crate) fn new(dialog: Arc<Dialog>, session: Arc<Session>) -> Placing {
        Placing { dialog, session }
    }

    async fn placement(&self, op: Op) -> Result<v1::Placement, Refusal> {
        match self.dialog.read(op).await?.body {
            Some(Body::Placement(placement)) => Ok(placement),
            _ => Err(odd_answer("a placement")),
        }
    }
}

#[async_trait]
impl Placer for Placing {
    async fn place(
        &self,
        redundancy: Option<v1::Redundancy>,
        failed_groups: Vec<u64>,
    ) -> Result<v1::Placement, Refusal> {
        self.placement(Op::Place(v1::Place {
            redundancy,
            failed_groups,
        }))
        .await
    }

    async fn groups(&self, groups: Vec<u64>) -> Result<v1::Placement, Refusal> {
        self.placement(Op::Groups(v1::GroupsRequest { groups }))
            .await
    }

    fn epoch(&self) -> u64 {
        self.session.settings_lsn()
    }

    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal> {
        let grant = self.session.grant(self.dialog.deadline()).await?;
        let counter = grant.extents.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(v1::ExtentId {
            session: grant.session,
            counter,
        })
    }
}
