//! `Fs`: the door of one process to the file system.

use std::sync::Arc;

use bytes::Bytes;
use dfs_env::Env;
use dfs_extents::{Extents, ExtentsConfig};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::Connector;
use dfs_rpc::serve::SharedRoles;
use dfs_wire::Refusal;

use crate::config::FsConfig;
use crate::dialog::Dialog;
use crate::placing::Placing;
use crate::session::Session;
use crate::when::Consistency;

/// One client of the cluster: its streams, its session, its budgets. Cloning is cheap and shares
/// them. Dropped without [`Fs::close`], its session ends with its lease.
#[derive(Clone)]
pub struct Fs {
    pub(crate) shared: Arc<Shared>,
    pub(crate) consistency: Consistency,
    pub(crate) if_lsn: Option<u64>,
}

pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) dialog: Arc<Dialog>,
    pub(crate) session: Arc<Session>,
    pub(crate) extents: Extents,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.env.crash(); // ends the tasks of this client, and nothing else
    }
}

impl Fs {
    /// Asks the sequencer who is there. `Unavailable` when nobody answers within the time of the
    /// configuration, `Mismatch` when it is another cluster or version.
    pub async fn connect(
        env: Env,
        connector: Arc<dyn Connector>,
        config: FsConfig,
    ) -> Result<Fs, Refusal> {
        let env = env.group("fs");
        let consistency = config.consistency;
        let extents = ExtentsConfig {
            write_bytes: config.write_bytes,
            ahead_bytes: config.ahead_bytes,
            timeout: config.timeout,
            ..ExtentsConfig::default()
        };
        let dialog = Arc::new(Dialog::new(env.clone(), connector.clone(), config));
        let session = Arc::new(Session::new(dialog.clone()));
        let placing = Placing::new(dialog.clone(), session.clone());
        let extents = Extents::new(env.clone(), connector, Arc::new(placing), extents);
        let shared = Shared {
            env,
            dialog,
            session,
            extents,
        };
        let fs = Fs {
            shared: Arc::new(shared),
            consistency,
            if_lsn: None,
        };
        fs.shared.dialog.find_members().await?;
        Ok(fs)
    }

    /// [`Fs::connect`] over TCP, to the sequencers of a profile. Any cluster will do while
    /// `cluster_id` is empty.
    pub async fn dial(
        env: Env,
        sequencers: Vec<String>,
        cluster_id: Bytes,
        config: FsConfig,
    ) -> Result<Fs, Refusal> {
        let connector = NodeConnector::new(env.clone(), SharedRoles::default(), sequencers);
        connector.identify(cluster_id, 0, 0, "client");
        Fs::connect(env, connector, config).await
    }

    /// The same client, whose reads of [`crate::When::Head`] have this consistency.
    pub fn with_consistency(&self, consistency: Consistency) -> Fs {
        Fs {
            consistency,
            ..self.clone()
        }
    }

    /// The same client, whose mutations are refused with `Conflict` unless the version
    /// ([`crate::Entry::lsn`]) of the entry that they change is this LSN; 0: unless there is none.
    /// Of a rename that is the entry at its old place, of a copy the one that is written.
    pub fn with_if_lsn(&self, if_lsn: Option<u64>) -> Fs {
        Fs {
            if_lsn,
            ..self.clone()
        }
    }

    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    pub fn config(&self) -> &FsConfig {
        &self.shared.dialog.config
    }

    /// Ends the session. Call it last: mutations after it are refused.
    pub async fn close(&self) -> Result<(), Refusal> {
        self.shared.session.close().await
    }
}

impl std::fmt::Debug for Fs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fs")
            .field("consistency", &self.consistency)
            .finish_non_exhaustive()
    }
}
