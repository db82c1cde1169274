//! How the run speaks with the cluster: clients as any program has them, and clients that know one materializer only.
use async_trait::async_trait;
use dfs_env::Env;
use dfs_fs::{Fs, FsConfig};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::leading::Dial;
use dfs_rpc::roles::{Connector, LogUnit, Materializer, Sequencer};
use dfs_rpc::serve::SharedRoles;
use dfs_wire::Refusal;
use std::sync::Arc;
use std::time::Duration;

/// Whoever looks, looks again: an attempt is short.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes clients of one cluster, each with connections of its own.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) env: Env,
    pub(crate) sequencers: Vec<String>,
    /// How long clients of the load wait for one attempt.
    pub(crate) patience: Duration,
}

impl Clients {
    /// As any program has it.
    pub(crate) async fn any(&self, actor: &str) -> Result<Fs, Refusal> {
        let config = FsConfig {
            attempt_timeout: self.patience,
            ..config(actor)
        };
        Fs::connect(self.env.clone(), self.connector(), config).await
    }

    /// Asks this materializer whatever it hears, and does not wait long for it.
    pub(crate) async fn pinned(
        &self,
        actor: &str,
        materializer: &str,
        timeout: Duration,
    ) -> Result<Fs, Refusal> {
        let pinned = Pinned {
            all: self.connector(),
            materializer: materializer.to_string(),
        };
        let config = FsConfig {
            timeout,
            attempt_timeout: timeout / 3,
            ..config(actor)
        };
        Fs::connect(self.env.clone(), Arc::new(pinned), config).await
    }

    /// For `status`.
    pub(crate) async fn looking(&self) -> Result<Fs, Refusal> {
        let config = FsConfig {
            attempt_timeout: LOOK_TIMEOUT,
            ..config("chaos-eye")
        };
        Fs::connect(self.env.clone(), self.connector(), config).await
    }

    /// Whether the voter at this address says that it leads.
    pub(crate) async fn leads(&self, address: &str) -> bool {
        // Itself: who only knows one of them is answered by the one that leads.
        let asked = async { self.connector().dial(address).await?.status().await };
        let answered = self.env.timeout(LOOK_TIMEOUT, asked).await;
        matches!(answered, Ok(Ok(status)) if status.role == "leader")
    }

    pub(crate) fn connector(&self) -> Arc<NodeConnector> {
        let sequencers = self.sequencers.clone();
        let connector = NodeConnector::new(self.env.clone(), SharedRoles::default(), sequencers);
        connector.identify(bytes::Bytes::new(), 0, 0, "client");
        connector
    }
}

fn config(actor: &str) -> FsConfig {
    FsConfig {
        actor: actor.to_string(),
        ..FsConfig::default()
    }
}

struct Pinned {
    all: Arc<NodeConnector>,
    materializer: String,
}

#[async_trait]
impl Connector for Pinned {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        self.all.sequencer().await
    }

    async fn unit(&self, unit_id: u64, address: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        self.all.unit(unit_id, address).await
    }

    async fn materializer(&self, _address: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        self.all.materializer(&self.materializer).await
    }
}
