//! Speaking with materializers: which one, over which stream, and again until the deadline.

mod backoff;
mod kinds;
mod link;
mod places;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::Connector;
use dfs_rpc::trace::{Span, TraceContext, Who, current};
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub(crate) use backoff::Backoff;
pub(crate) use kinds::kind_of;
pub(crate) use link::Failed;
pub(crate) use places::Places;
pub(crate) use reading::{asks_again, silent};

use crate::config::FsConfig;
use link::Link;

/// One per process: the members, and one request stream to each materializer that was asked.
pub(crate) struct Dialog {
    pub(crate) env: Env,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) config: FsConfig,
    pub(crate) places: Places,
    /// By address; a stream that ended is replaced at the next request.
    links: Mutex<BTreeMap<String, Arc<OnceCell<Link>>>>,
}

impl Dialog {
    pub(crate) fn new(env: Env, connector: Arc<dyn Connector>, config: FsConfig) -> Dialog {
        Dialog {
            places: Places::new(env.random_u64()),
            env,
            connector,
            config,
            links: Mutex::default(),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.env.now() + self.config.timeout
    }

    pub(crate) fn left(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.env.now())
    }

    /// A step of the request that the running task works for, or the first of one by chance.
    pub(crate) fn step(&self, name: &'static str) -> Span {
        let ratio = self.config.trace_ratio;
        if current().is_some() || ratio <= 0.0 {
            return Span::here(&self.env, name, Who::CLIENT);
        }
        match (self.env.random_u64() as f64) < ratio * u64::MAX as f64 {
            true => Span::root(&self.env, self.env.random_u128().max(1), name, Who::CLIENT),
            false => Span::default(),
        }
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.env.clone())
    }

    /// One request to one materializer, once. Drop it to stop waiting.
    pub(crate) async fn ask_at(
        &self,
        address: &str,
        op: Op,
        slot: Option<v1::SlotUse>,
        deadline: Instant,
    ) -> Result<v1::Answer, Failed> {
        let cell = self.link_cell(address);
        let opened = cell.get_or_try_init(|| self.open_link(address)).await;
        let link = opened.map_err(Failed::NotSent)?;
        let request = v1::Request {
            id: 0,
            deadline_us: self.left(deadline).as_micros() as u64,
            actor: self.config.actor.clone(),
            uid: self.config.uid,
            gid: self.config.gid,
            slot,
            op: Some(op),
            trace: current().map(TraceContext::to_wire),
        };
        link.ask(request).await
    }

    fn link_cell(&self, address: &str) -> Arc<OnceCell<Link>> {
        let mut links = self.links.lock();
        let cell = links.entry(address.to_owned()).or_default();
        if cell.get().is_some_and(Link::is_ended) {
            *cell = Arc::default();
        }
        cell.clone()
    }

    async fn open_link(&self, address: &str) -> Result<Link, Refusal> {
        let materializer = self.connector.materializer(address).await?;
        Link::open(&self.env, materializer).await
    }
}
