//! The way from a profile to a cluster: over TCP, with its identity checked.
use crate::call::say;
use crate::failure::{Failure, Outcome};
use crate::profile::Profile;
use dfs_env::Env;
use dfs_fs::{Fs, FsConfig};
use dfs_log::{ClusterLog, SharedLog};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::serve::SharedRoles;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// How the tree that is not a branch is called in addresses.
pub(crate) const MAIN_TREE_NAME: &str = "main";

/// A cluster that is there answers within milliseconds.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// A cluster that has answered.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) fs: Fs,
    connector: Arc<NodeConnector>,
    env: Env,
}

impl Cluster {
    /// Its log, for those who read records and not files.
    pub(crate) fn log(&self) -> Arc<dyn SharedLog> {
        let nobody = dfs_wire::v1::Owner::default();
        ClusterLog::open(self.env.clone(), self.connector.clone(), nobody)
    }
}

pub(crate) async fn connect(env: &Env, profile: &Profile, config: FsConfig) -> Outcome<Cluster> {
    let cluster_id = parse_hex(&profile.cluster_id).ok_or_else(|| {
        let what = format!("bad cluster id `{}`", profile.cluster_id);
        Failure::usage(what, "it is not hexadecimal", "Correct the profile")
    })?;
    let connector = NodeConnector::new(
        env.clone(),
        SharedRoles::default(),
        profile.sequencers.clone(),
    );
    connector.identify(cluster_id.into(), 0, 0, "client");
    let connected = patiently(
        env,
        profile,
        Fs::connect(env.clone(), connector.clone(), config),
    );
    let connected = connected.await;
    let fs = connected.map_err(|refusal| hint(Failure::from(refusal), profile))?;
    Ok(Cluster {
        fs,
        connector,
        env: env.clone(),
    })
}

/// A cluster that restarts is waited for; a person is told, before wondering.
async fn patiently<T>(env: &Env, profile: &Profile, connecting: impl Future<Output = T>) -> T {
    let mut connecting = std::pin::pin!(connecting);
    tokio::select! {
        biased;
        connected = &mut connecting => return connected,
        () = env.sleep(TOLD_AFTER) => {}
    }
    if std::io::stderr().is_terminal() {
        let asked = profile.sequencers.join(", ");
        say(&format!(
            "no answer from {asked} yet; asking on until --timeout"
        ));
    }
    connecting.await
}

/// Nobody answers: most often nothing runs there yet.
fn hint(mut failure: Failure, profile: &Profile) -> Failure {
    if failure.exit == crate::Exit::Unavailable {
        let asked = profile.sequencers.join(", ");
        failure.what = format!("no cluster answers at {asked}");
        failure.advice = "Start one there (dfsctl dev up), or name another (--profile)".into();
    }
    failure
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}
