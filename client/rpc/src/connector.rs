//! Finds a role: directly when it runs in this process, over a kept connection when it does not.
use crate::remote::{Connection, RemoteLogUnit, RemoteMaterializer, RemoteSequencer};
use crate::roles::{Connector, LogUnit, Materializer, Sequencer};
use crate::serve::SharedRoles;
use async_trait::async_trait;
use dfs_env::Env;
use dfs_wire::limits::PROTOCOL_VERSION;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A sequencer that says nothing for so long is passed over for the next.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections of one process. Roles of this process are called directly.
pub struct NodeConnector {
    env: Env,
    local: SharedRoles,
    /// Where this process itself answers; empty while it does not.
    own_address: Mutex<String>,
    sequencers: Vec<String>,
    greeting: Mutex<v1::Greeting>,
    connections: Mutex<BTreeMap<String, Connection>>,
}

impl NodeConnector {
    /// `sequencers`: host:port of each; may be empty when the sequencer is local.
    pub fn new(env: Env, local: SharedRoles, sequencers: Vec<String>) -> Arc<NodeConnector> {
        let greeting = v1::Greeting {
            protocol: PROTOCOL_VERSION,
            ..Default::default()
        };
        Arc::new(NodeConnector {
            env,
            local,
            own_address: Mutex::default(),
            sequencers,
            greeting: Mutex::new(greeting),
            connections: Mutex::default(),
        })
    }

    /// What later connections say of themselves: known once the process is registered, or from a profile.
    pub fn identify(&self, cluster_id: bytes::Bytes, node_id: u64, incarnation: u64, role: &str) {
        *self.greeting.lock() = v1::Greeting {
            cluster_id,
            protocol: PROTOCOL_VERSION,
            node_id,
            incarnation,
            role: role.to_string(),
        };
    }

    /// Calls to `address` stay in this process from now on.
    pub fn answer_at(&self, address: impl Into<String>) {
        *self.own_address.lock() = address.into();
    }

    async fn connection(&self, address: &str) -> Result<Connection, Refusal> {
        let kept = self.connections.lock().get(address).cloned();
        if let Some(connection) = kept.filter(|connection| !connection.is_broken()) {
            return Ok(connection);
        }
        let greeting = self.greeting.lock().clone();
        let connection = Connection::open(address, greeting).await?;
        self.connections
            .lock()
            .insert(address.to_string(), connection.clone());
        Ok(connection)
    }

    /// The sequencer at `address`, if it answers at all.
    async fn sequencer_at(&self, address: &str) -> Result<Arc<dyn Sequencer>, Refusal> {
        let remote = RemoteSequencer::new(self.connection(address).await?);
        let asked = self.env.timeout(STATUS_TIMEOUT, remote.status()).await;
        asked.map_err(|_| Refusal::new(Code::Unavailable, address, "it does not answer"))??;
        Ok(Arc::new(remote))
    }
}

#[async_trait]
impl Connector for NodeConnector {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        if let Some(local) = self.local.read().sequencer.clone() {
            return Ok(local);
        }
        let mut last = Refusal::new(Code::Unavailable, "sequencer", "no address is configured");
        for address in &self.sequencers {
            match self.sequencer_at(address).await {
                Ok(sequencer) => return Ok(sequencer),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    async fn unit(&self, unit_id: u64, address: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        if let Some(local) = self.local.read().units.get(&unit_id).cloned() {
            return Ok(local);
        }
        Ok(Arc::new(RemoteLogUnit::new(
            self.connection(address).await?,
        )))
    }

    async fn materializer(&self, address: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        let is_own = *self.own_address.lock() == address;
        if let Some(local) = self.local.read().materializer.clone().filter(|_| is_own) {
            return Ok(local);
        }
        Ok(Arc::new(RemoteMaterializer::new(
            self.connection(address).await?,
        )))
    }
}
