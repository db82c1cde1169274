//! A whole process: directory, port, roles; from start to an orderly stop.
use crate::config::{NodeConfig, RoleName};
use crate::directory::Directory;
use crate::http::Http;
use crate::roles::{Place, RoleSet};
use crate::traces::Traces;
use anyhow::Context;
use dfs_env::{Env, Task};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::serve::{SharedRoles, serve};
use dfs_wire::Refusal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// An orderly stop takes no longer; what is left then is as after a kill, which is safe.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The last spans are worth no more.
const TRACES_WITHIN: Duration = Duration::from_millis(500);

/// A running process.
pub struct Node {
    env: Env,
    address: SocketAddr,
    roles: Arc<RoleSet>,
    http: Option<Http>,
    traces: Option<Traces>,
    connector: Arc<NodeConnector>,
    stop_serving: Option<oneshot::Sender<()>>,
    serving: Task<()>,
}

impl Node {
    /// Opens the directory, takes the port, starts the roles and joins the cluster.
    ///
    /// # Errors
    /// When the directory is in use, the port is taken, or the cluster refuses this process.
    pub async fn start(env: &Env, config: NodeConfig) -> anyhow::Result<Node> {
        config.check()?;
        let env = env.group("node");
        let directory = Directory::open(&env, &config).await?;
        let listener = TcpListener::bind(&config.listen)
            .await
            .with_context(|| format!("cannot listen on {}: is it taken?", config.listen))?;
        let address = listener.local_addr()?;
        let traces = match &config.traces {
            Some(collector) => Some(Traces::start(&env, collector, "dfs")?),
            None => None,
        };
        let http = match &config.metrics {
            Some(listen) => Some(Http::open(&env, listen).await?),
            None => None,
        };
        let shared = SharedRoles::default();
        let connector = NodeConnector::new(env.clone(), shared.clone(), sequencers(&config));
        let advertised = config
            .advertise
            .clone()
            .unwrap_or_else(|| address.to_string());
        connector.answer_at(advertised.clone());
        let (stop_serving, stopped) = oneshot::channel();
        let serving = serve_on(&env, listener, shared.clone(), stopped);
        let place = Place {
            env: env.clone(),
            config,
            directory,
            connector: connector.clone(),
            peers: connector.clone(),
            shared,
            address: advertised,
            views: None,
        };
        let roles = match RoleSet::start(place).await {
            Ok(roles) => Arc::new(roles),
            Err(error) => {
                env.stop().await; // whatever had started lets go of its directory
                return Err(error);
            }
        };
        let owner = &roles.owner;
        connector.identify(
            roles.cluster_id.clone(),
            owner.node_id,
            owner.incarnation,
            "node",
        );
        roles.tell();
        if let Some(http) = &http {
            http.show(roles.clone());
        }
        Ok(Node {
            env,
            address,
            roles,
            http,
            traces,
            connector,
            stop_serving: Some(stop_serving),
            serving,
        })
    }

    /// Where all roles of this process answer.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells of itself, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|http| http.address)
    }

    /// Finds every role of the cluster, those of this process directly.
    pub fn connector(&self) -> Arc<NodeConnector> {
        self.connector.clone()
    }

    pub fn roles(&self) -> &RoleSet {
        &self.roles
    }

    /// Waits until reads and writes are served here, or answered with the range of the log that is lost.
    pub async fn ready(&self) {
        self.roles.serving().await;
    }

    /// Waits until a role has ended for good, and says why.
    pub async fn failed(&self) -> Refusal {
        self.roles.failed().await
    }

    /// Hands over, drains, persists; within 5 s.
    pub async fn stop(mut self) {
        let orderly = async {
            self.roles.stop().await;
            if let Some(stop) = self.stop_serving.take() {
                let _ = stop.send(());
            }
            // A client that keeps its connection open does not hold up the stop.
            let _ = self
                .env
                .timeout(Duration::from_millis(200), &mut self.serving)
                .await;
        };
        if self.env.timeout(STOP_WITHIN, orderly).await.is_err() {
            tracing::warn!("stop took too long; what was not persisted is folded again at start");
        }
        drop(self.http.take());
        if let Some(traces) = self.traces.take() {
            traces.stop(TRACES_WITHIN).await;
        }
        self.env.stop().await;
    }
}

/// A process that runs the only sequencers needs no addresses.
fn sequencers(config: &NodeConfig) -> Vec<String> {
    if config.runs(RoleName::Sequencer) && !config.join && config.sequencers.len() < 2 {
        Vec::new()
    } else {
        config.sequencers.clone()
    }
}

fn serve_on(
    env: &Env,
    listener: TcpListener,
    shared: SharedRoles,
    stopped: oneshot::Receiver<()>,
) -> Task<()> {
    env.spawn("serve", async move {
        let stop = async {
            let _ = stopped.await;
        };
        if let Err(error) = serve(listener, shared, stop).await {
            tracing::error!(%error, "the port is lost: stop the process and start it again");
        }
    })
}
