//! A process's HTTP port: `/metrics`, `/healthz`, `/readyz`, `/raft`. It answers questions and takes no orders.
mod connections;

use crate::metrics::Exporter;
use crate::roles::RoleSet;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dfs_env::{Env, Task};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The roles, once they have started and until they stop: a connection that stays open holds none of them.
type Running = Mutex<Option<Arc<RoleSet>>>;

/// What the answers are made of.
struct Asked {
    env: Env,
    roles: Running,
    exporter: Exporter,
    since: Instant,
}

/// A port that answers until its env ends.
pub(crate) struct Http {
    pub(crate) address: SocketAddr,
    asked: Arc<Asked>,
    _serving: Task<()>,
}

impl Http {
    /// Takes the port and answers at once: whoever watches hears that the process works, and does not serve yet.
    pub(crate) async fn open(env: &Env, listen: &str) -> anyhow::Result<Http> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}, for metrics: is it taken?"))?;
        let address = listener.local_addr()?;
        let asked = Arc::new(Asked {
            env: env.clone(),
            roles: Mutex::new(None),
            exporter: Exporter::new()?,
            since: env.now(),
        });
        let _serving = serve(env, listener, asked.clone());
        Ok(Http {
            address,
            asked,
            _serving,
        })
    }

    /// It tells of these from now on.
    pub(crate) fn show(&self, roles: Arc<RoleSet>) {
        *self.asked.roles.lock() = Some(roles);
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.asked.roles.lock().take();
    }
}

impl Asked {
    fn roles(&self) -> Option<Arc<RoleSet>> {
        self.roles.lock().clone()
    }
}

fn serve(env: &Env, listener: TcpListener, asked: Arc<Asked>) -> Task<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/raft", get(raft))
        .with_state(asked);
    let connections = connections::Connections::of(env, listener);
    env.spawn("http", async move {
        if let Err(error) = axum::serve(connections, router).await {
            tracing::error!(%error, "the port of metrics is lost: stop the process and start it again");
        }
    })
}

async fn metrics(State(asked): State<Arc<Asked>>) -> Response {
    let uptime = asked.env.now().saturating_duration_since(asked.since);
    let samples = match asked.roles() {
        Some(roles) => roles.samples(uptime).await,
        None => Vec::new(), // it has no id yet under which it could tell
    };
    match asked.exporter.text(samples) {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

/// The process answers: whoever supervises it need not start it again.
async fn healthz(State(asked): State<Arc<Asked>>) -> Response {
    told(asked.roles().map(|roles| roles.ended()).unwrap_or_default())
}

async fn readyz(State(asked): State<Arc<Asked>>) -> Response {
    match asked.roles() {
        Some(roles) => told(roles.unready().await),
        None => told(vec!["the process has not joined its cluster yet".into()]),
    }
}

/// 200, or 503 with a reason on each line.
fn told(reasons: Vec<String>) -> Response {
    match reasons.is_empty() {
        true => "ok\n".into_response(),
        false => {
            let reasons = format!("{}\n", reasons.join("\n"));
            (StatusCode::SERVICE_UNAVAILABLE, reasons).into_response()
        }
    }
}

async fn raft(State(asked): State<Arc<Asked>>) -> Response {
    let groups = asked.roles().map(|roles| roles.groups());
    let voters: Vec<serde_json::Value> = groups.iter().flatten().map(described).collect();
    let body = serde_json::json!({ "apiVersion": "dfs/v1", "voters": voters });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, format!("{body:#}\n")).into_response()
}

fn described(status: &dfs_wire::v1::GroupStatus) -> serde_json::Value {
    let member = |member: &dfs_wire::v1::GroupMember| {
        serde_json::json!({
            "id": member.id,
            "address": member.address,
            "voter": member.is_voter,
            "leads": member.leads,
            "live": member.live,
            "matched_index": member.matched_index,
            "applied_index": member.applied_index,
        })
    };
    serde_json::json!({
        "voter": status.voter,
        "role": status.role,
        "term": status.term,
        "vote_term": status.vote_term,
        "voted_for": status.voted_for,
        "leader": status.leader,
        "last_index": status.last_index,
        "commit_index": status.committed_index,
        "applied_index": status.applied_index,
        "snapshot_index": status.snapshot_index,
        "purged_index": status.purged_index,
        "joint": status.joint,
        "next_lsn": status.next_lsn,
        "members": status.group.iter().map(member).collect::<Vec<_>>(),
    })
}
