//! The shared log of a cluster: lanes on units, order from the sequencer's cuts.
use std::sync::Arc;

use async_trait::async_trait;
use dfs_env::Env;
use dfs_rpc::roles::{Connector, Sequencer};
use dfs_wire::{Refusal, v1};

use crate::appender::Appender;
use crate::follower::Follower;
use crate::shared_log::{Follow, Lsn, SharedLog};

mod cut_queue;
mod end;
mod finding;
mod hub;
mod lane;
mod line;
mod reader;
mod retry;
mod scan;
mod unit_stream;
mod verdicts;

use end::Ends;
use hub::Hub;
use reader::Reader;

/// One per process: its appenders and followers share one subscription to the cuts.
pub struct ClusterLog {
    hub: Arc<Hub>,
    ends: Arc<Ends>,
}

impl ClusterLog {
    /// Begins to listen at once; whatever needs the cluster waits until it answers.
    pub fn open(env: Env, connector: Arc<dyn Connector>, node: v1::Owner) -> Arc<ClusterLog> {
        let hub = Hub::new(env, connector, node);
        let ends = Arc::new(Ends::default());
        hub.env.spawn("cut stream", hub::run(hub.clone()));
        hub.env
            .spawn("end questions", end::run(ends.clone(), hub.clone()));
        Arc::new(ClusterLog { hub, ends })
    }

    /// Units that missed more than a lane of this process keeps (LOG-A3); for `status`.
    pub fn lagging(&self) -> Vec<v1::UnitLag> {
        self.hub.lagging()
    }

    /// What was heard last: (next LSN, log time). No question is asked.
    pub fn heard(&self) -> Option<(Lsn, u64)> {
        self.hub
            .known()
            .map(|known| (known.next_lsn, known.log_time_us))
    }
}

#[async_trait]
impl SharedLog for ClusterLog {
    async fn appender(&self, owner: v1::Owner) -> Result<Appender, Refusal> {
        line::open(&self.hub, owner).await
    }

    async fn follow(&self, from: Lsn, what: Follow) -> Result<Follower, Refusal> {
        self.hub.ready().await;
        self.hub.check_trim(from)?;
        Ok(Follower::new(Reader::new(self.hub.clone(), from, what)))
    }

    async fn end(&self, linearizable: bool) -> Result<v1::EndAnswer, Refusal> {
        self.ends.ask(linearizable).await
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        let call = |role: Arc<dyn Sequencer>| async move { role.history().await };
        retry::ask(&self.hub, "history", call).await
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        let call = |role: Arc<dyn Sequencer>| {
            let change = change.clone();
            async move { role.change_history(change).await }
        };
        retry::ask(&self.hub, "history", call).await
    }
}
