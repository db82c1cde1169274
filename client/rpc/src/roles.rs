//! What each role answers, as traits: served by the role itself in process, by tonic over TCP, by the simulator.
use async_trait::async_trait;
use dfs_wire::v1;
use dfs_wire::{Code, Refusal};
use futures::stream::BoxStream;
use std::sync::Arc;

/// What flows towards a role: ends when the sender goes away.
pub type Requests<T> = BoxStream<'static, T>;
/// What flows back: ends when the role stops; after an `Err` nothing follows.
pub type Answers<T> = BoxStream<'static, Result<T, Refusal>>;

/// Gives every record its place; never sees bytes (LOG.md §2, §3).
#[async_trait]
pub trait Sequencer: Send + Sync {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal>;
    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal>;
    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal>;
    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal>;
    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal>;
    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal>;
    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal>;
    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal>;
    /// Who belongs to the group and to the cluster; what stands in for a sequencer elsewhere need not
    /// answer it.
    async fn administer(&self, _: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        Err(unadministered())
    }
    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        Err(unadministered())
    }
    /// How far back the log goes, and what holds it (LOG.md §8).
    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal>;
    async fn change_history(&self, change: v1::HistoryChange)
    -> Result<v1::HistoryAnswer, Refusal>;
    /// Asked by operators only; whatever stands in for a sequencer elsewhere need not answer it.
    async fn drain_unit(&self, _: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        Err(not_here("drain a unit"))
    }
    async fn remove_unit(&self, _: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        Err(not_here("remove a unit"))
    }
}

fn unadministered() -> Refusal {
    let why = "this sequencer has no group to speak of";
    Refusal::new(Code::Mismatch, "administration", why)
}

fn not_here(what: &str) -> Refusal {
    Refusal::new(Code::Mismatch, what, "this one does not answer that")
}

/// Keeps bytes; never sees paths (LOG.md §3, DESIGN.md §6).
#[async_trait]
pub trait LogUnit: Send + Sync {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal>;
    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal>;
    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal>;
    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal>;
    async fn status(&self, request: v1::UnitStatusRequest)
    -> Result<v1::UnitStatusAnswer, Refusal>;
    /// Asked by other units only; whatever stands in for a unit elsewhere need not answer it.
    async fn fetch(&self, _: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        let why = "this unit gives nothing to its peers";
        Err(Refusal::new(Code::Mismatch, "fetch", why))
    }
}

/// Folds the log into the namespace; can be deleted at any time (DESIGN.md §5, FOLD.md).
#[async_trait]
pub trait Materializer: Send + Sync {
    async fn requests(
        &self,
        requests: Requests<v1::RequestBatch>,
    ) -> Result<Answers<v1::AnswerBatch>, Refusal>;
    async fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal>;
}

/// One voter of the sequencer, as the other voters see it (LOG.md §6).
#[async_trait]
pub trait Peer: Send + Sync {
    async fn replicate(
        &self,
        requests: Requests<v1::ReplicateRequest>,
    ) -> Result<Answers<v1::Replicated>, Refusal>;
    async fn vote(&self, request: v1::VoteRequest) -> Result<v1::Voted, Refusal>;
    async fn install_snapshot(
        &self,
        parts: Requests<v1::SnapshotPart>,
    ) -> Result<v1::SnapshotInstalled, Refusal>;
    async fn transfer_leader(
        &self,
        request: v1::TransferLeaderRequest,
    ) -> Result<v1::LeaderTransferred, Refusal>;
}

/// Finds voters for voters.
#[async_trait]
pub trait PeerConnector: Send + Sync {
    /// A connection of its own: whoever keeps it lets it go at the first error, so that a peer that
    /// was started anew is never spoken to over what is left of its former self.
    async fn peer(&self, voter: u64, address: &str) -> Result<Arc<dyn Peer>, Refusal>;
}

/// A process that tells of itself in figures, whatever its roles are.
#[async_trait]
pub trait Figures: Send + Sync {
    async fn figures(&self) -> Result<v1::FiguresAnswer, Refusal>;
}

/// Finds the role that answers at an address. One per process: it keeps the connections,
/// opens each with the handshake, and makes a new one after an error.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The sequencers of the configuration, tried in turn; the one that answers.
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal>;
    /// The unit `unit_id` at `address` (of `UnitRef`).
    async fn unit(&self, unit_id: u64, address: &str) -> Result<Arc<dyn LogUnit>, Refusal>;
    /// The materializer at `address` (of `Member`).
    async fn materializer(&self, address: &str) -> Result<Arc<dyn Materializer>, Refusal>;
}
