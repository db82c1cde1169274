//! Finds a role: directly when it runs in this process, over a kept connection when it does not.
use crate::leading::{Dial, Leading};
use crate::remote::{
    Connection, RemoteFigures, RemoteLogUnit, RemoteMaterializer, RemotePeer, RemoteSequencer,
    keep_spans, spans,
};
use crate::roles::{Connector, Figures, LogUnit, Materializer, Peer, PeerConnector, Sequencer};
use crate::serve::SharedRoles;
use crate::trace::ring;
use async_trait::async_trait;
use dfs_env::Env;
use dfs_wire::limits::PROTOCOL_VERSION;
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Connections of one process. Roles of this process are called directly.
pub struct NodeConnector {
    env: Env,
    local: SharedRoles,
    /// Where this process itself answers; empty while it does not.
    own_address: Mutex<String>,
    sequencers: Vec<String>,
    greeting: Mutex<v1::Greeting>,
    connections: Mutex<BTreeMap<String, Connection>>,
    leading: Leading,
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
            leading: Leading::default(),
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

    /// The process at this address, to be asked for its figures.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn figures(&self, address: &str) -> Result<Arc<dyn Figures>, Refusal> {
        let connection = self.connection(address).await?;
        Ok(Arc::new(RemoteFigures::new(connection)))
    }

    /// What the process there keeps of a request.
    pub async fn spans(&self, address: &str, trace_id: u128) -> Result<v1::SpansAnswer, Refusal> {
        if self.is_own(address) {
            return Ok(v1::SpansAnswer {
                spans: ring::spans_of(trace_id, self.env.now()),
                left_out: ring::left_out(),
            });
        }
        spans(&self.connection(address).await?, trace_id).await
    }

    /// Leaves what this process has seen of a request with one that it is connected to.
    pub async fn leave_spans(
        &self,
        trace_id: u128,
        spans: Vec<v1::TracedSpan>,
    ) -> Result<(), Refusal> {
        let connections = self
            .connections
            .lock()
            .values()
            .cloned()
            .collect::<Vec<_>>();
        let whole = connections.iter().find(|kept| !kept.is_broken());
        match whole {
            Some(connection) => keep_spans(connection, trace_id, spans).await,
            None => Ok(()), // it has spoken with nobody
        }
    }

    fn is_own(&self, address: &str) -> bool {
        *self.own_address.lock() == address
    }
}

#[async_trait]
impl Dial for NodeConnector {
    async fn dial(&self, address: &str) -> Result<Arc<dyn Sequencer>, Refusal> {
        let local = self.local.read().sequencer.clone();
        if let Some(local) = local.filter(|_| self.is_own(address)) {
            return Ok(local);
        }
        let connection = self.connection(address).await?;
        Ok(Arc::new(RemoteSequencer::new(connection)))
    }

    fn hang_up(&self, address: &str) {
        self.connections.lock().remove(address);
    }
}

#[async_trait]
impl PeerConnector for NodeConnector {
    async fn peer(&self, voter: u64, address: &str) -> Result<Arc<dyn Peer>, Refusal> {
        // Its address may be that of a former start: a voter of this process is here.
        if let Some(local) = self.local.read().peers.get(&voter).cloned() {
            return Ok(local);
        }
        let greeting = self.greeting.lock().clone();
        let connection = Connection::open(address, greeting).await?;
        Ok(Arc::new(RemotePeer::new(connection)))
    }
}

#[async_trait]
impl Connector for NodeConnector {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        let mut addresses = self.sequencers.clone();
        // The group of this process's sequencer may have grown since it was configured.
        if self.local.read().sequencer.is_some() {
            addresses.push(self.own_address.lock().clone());
        }
        self.leading.find(&self.env, self, &addresses).await
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
        let local = self.local.read().materializer.clone();
        if let Some(local) = local.filter(|_| self.is_own(address)) {
            return Ok(local);
        }
        Ok(Arc::new(RemoteMaterializer::new(
            self.connection(address).await?,
        )))
    }
}
