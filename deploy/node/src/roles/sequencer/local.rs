//! Several voters of one process behind one door: whoever of them leads answers.
use async_trait::async_trait;
use dfs_rpc::roles::{Answers, Requests, Sequencer};
use dfs_sequencer::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Local {
    running: Mutex<BTreeMap<u64, Arc<SequencerRole>>>,
}

impl Local {
    pub(super) fn show(&self, voter: u64, role: Option<Arc<SequencerRole>>) {
        let mut running = self.running.lock();
        match role {
            Some(role) => drop(running.insert(voter, role)),
            None => drop(running.remove(&voter)),
        }
    }

    /// The one that leads; while none does, one that says so.
    fn role(&self) -> Result<Arc<SequencerRole>, Refusal> {
        let running = self.running.lock();
        let leader = running.values().find(|role| role.leads());
        let role = leader.or_else(|| running.values().next()).cloned();
        role.ok_or_else(|| Refusal::new(Code::Unavailable, "sequencer", "it is not open yet"))
    }
}

#[async_trait]
impl Sequencer for Local {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        self.role()?.register(request).await
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.role()?.keep_alive(beats).await
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        self.role()?.open_lane(request).await
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        self.role()?.move_lane(request).await
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.role()?.unit(reports).await
    }

    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.role()?.subscribe(request).await
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        self.role()?.end(request).await
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        self.role()?.status().await
    }

    async fn administer(&self, request: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        self.role()?.administer(request).await
    }

    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        self.role()?.watch_group().await
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        self.role()?.history().await
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        self.role()?.change_history(change).await
    }

    async fn drain_unit(&self, asked: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        self.role()?.drain_unit(asked).await
    }

    async fn remove_unit(&self, asked: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        self.role()?.remove_unit(asked).await
    }
}
