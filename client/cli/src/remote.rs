//! The way from a profile to a cluster: over TCP, with its identity checked.
use crate::call::say;
use crate::failure::{Failure, Outcome};
use crate::profile::Profile;
use bytes::Bytes;
use dfs_env::Env;
use dfs_fs::{Code, Consistency, Fs, FsConfig, Refusal};
use dfs_log::{ClusterLog, SharedLog};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::{Connector, Sequencer};
use dfs_rpc::serve::SharedRoles;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// How the tree that is not a branch is called in addresses.
pub(crate) const MAIN_TREE_NAME: &str = "main";

/// A cluster that is there answers within milliseconds.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// Where nothing listens, that is known at once: a start is noticed soon, and nobody is flooded.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A cluster that has answered.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) fs: Fs,
    pub(crate) connector: Arc<NodeConnector>,
    env: Env,
}

impl Cluster {
    pub(crate) async fn id(&self) -> Result<Bytes, Refusal> {
        let status = self.connector.sequencer().await?.status().await?;
        Ok(status.cluster_id)
    }

    /// Its log, for those who read records and not files.
    pub(crate) fn log(&self) -> Arc<dyn SharedLog> {
        let nobody = dfs_wire::v1::Owner::default();
        ClusterLog::open(self.env.clone(), self.connector.clone(), nobody)
    }
}

/// Looks for it `within` this time; then it has the time of the configuration to say who is there.
pub(crate) async fn connect(
    env: &Env,
    profile: &Profile,
    config: FsConfig,
    within: Duration,
) -> Outcome<Cluster> {
    let connector = reach(env, profile, within).await?;
    let told = |refusal| hint(Failure::from(refusal), profile);
    if let Consistency::AtLeast(lsn) = config.consistency {
        refuse_future(&*connector.sequencer().await.map_err(told)?, lsn).await?;
    }
    let connected = Fs::connect(env.clone(), connector.clone(), config);
    let fs = patiently(env, profile, connected).await.map_err(told)?;
    Ok(Cluster {
        fs,
        connector,
        env: env.clone(),
    })
}

/// Finds a sequencer of it; nothing else of the cluster has to answer.
pub(crate) async fn reach(
    env: &Env,
    profile: &Profile,
    within: Duration,
) -> Outcome<Arc<NodeConnector>> {
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
    let found = patiently(env, profile, find(env, &connector, within)).await;
    found.map_err(|refusal| hint(Failure::from(refusal), profile))?;
    Ok(connector)
}

/// A sequencer that answers.
async fn find(
    env: &Env,
    connector: &Arc<NodeConnector>,
    within: Duration,
) -> Result<Arc<dyn Sequencer>, Refusal> {
    let deadline = env.now() + within;
    let mut last = Refusal::new(Code::Unavailable, "the sequencer", "it does not answer");
    loop {
        let left = deadline.saturating_duration_since(env.now());
        match env.timeout(left, connector.sequencer()).await {
            Ok(Ok(sequencer)) => return Ok(sequencer),
            Ok(Err(refusal)) if !refusal.is_retryable() => return Err(refusal),
            Ok(Err(refusal)) => last = refusal,
            Err(_) => return Err(last),
        }
        if env.now() + ASK_EVERY >= deadline {
            return Err(last);
        }
        env.sleep(ASK_EVERY).await;
    }
}

/// No write has this LSN yet, so waiting for it would be waiting for somebody else's.
async fn refuse_future(sequencer: &dyn Sequencer, lsn: u64) -> Outcome {
    let Ok(status) = sequencer.status().await else {
        return Ok(()); // whoever reads will say what is wrong
    };
    let last = status.next_lsn.saturating_sub(1);
    if lsn <= last {
        return Ok(());
    }
    let what = format!("cannot read at least at LSN {lsn}");
    let why = format!("it lies in the future: the last record is {last}");
    let advice = "Nothing was done; give the LSN that a write printed: --consistency at-least:LSN";
    Err(Failure {
        lsn: last,
        ..Failure::usage(what, why, advice)
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
        say(&format!("waiting for {asked} …"));
    }
    connecting.await
}

/// Nobody answers: most often nothing runs there yet.
fn hint(mut failure: Failure, profile: &Profile) -> Failure {
    if failure.exit == crate::Exit::Unavailable {
        let asked = profile.sequencers.join(", ");
        failure.what = format!("no cluster answers at {asked}");
        failure.advice =
            "Start one there (dfsctl dev up), name another (--profile), or wait longer (--timeout)"
                .into();
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
