//! Everything that can be asked of a cluster, all at once; whoever says nothing holds up nobody.
use dfs_env::Env;
use dfs_fs::Status;
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::{Connector, Sequencer};
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use dfs_wire::{Code, Refusal, v1};
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// Healthy members answer from memory; one that stands still is named, not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// An election is over by then: a leader that has just gone is no reason for alarm.
const ELECTED_WITHIN: Duration = Duration::from_millis(1_500);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What the cluster says of itself at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) told: Status,
    /// As the sequencer sees it that answered; empty where it did not say.
    pub(crate) group: v1::GroupStatus,
}

impl Seen {
    pub(crate) fn last_lsn(&self) -> u64 {
        self.told.sequencer.next_lsn.saturating_sub(1)
    }

    pub(crate) fn is_led(&self) -> bool {
        self.told.sequencer.role == "leader"
    }

    pub(crate) fn members(&self) -> v1::Members {
        self.told.sequencer.members.clone().unwrap_or_default()
    }
}

/// Asks the sequencer, then everybody that it lists.
///
/// # Errors
/// When no sequencer answers.
pub(crate) async fn gather(env: &Env, connector: &Arc<NodeConnector>) -> Result<Seen, Refusal> {
    let (sequencer, status) = leader(env, connector).await?;
    let group = async {
        let op = Some(Op::GroupStatus(v1::GroupStatusRequest {}));
        let asked = sequencer.administer(v1::AdminRequest { op });
        match patiently(env, "the sequencer", asked).await.ok()?.answer {
            Some(Answer::GroupStatus(group)) => Some(group),
            _ => None,
        }
    };
    let members = status.members.clone().unwrap_or_default();
    let units = members.units.into_iter().map(|unit| async move {
        let told = unit_status(env, connector, &unit).await;
        (unit, told)
    });
    let folds = |member: &v1::Member| {
        !member.removed && member.roles.iter().any(|role| role == "materializer")
    };
    let materializers = members.members.into_iter().filter(folds);
    let materializers = materializers.map(|member| async move {
        let told = materializer_status(env, connector, &member).await;
        (member, told)
    });
    let (group, units, materializers) =
        futures::join!(group, join_all(units), join_all(materializers));
    let told = Status {
        sequencer: status,
        units,
        materializers,
    };
    let group = group.unwrap_or_default();
    Ok(Seen { told, group })
}

/// The one that leads; after the time of an election, one that answers at all.
async fn leader(
    env: &Env,
    connector: &Arc<NodeConnector>,
) -> Result<(Arc<dyn Sequencer>, v1::SequencerStatusAnswer), Refusal> {
    let deadline = env.now() + ELECTED_WITHIN;
    loop {
        let asked = async {
            let sequencer = connector.sequencer().await?;
            let status = sequencer.status().await?;
            Ok((sequencer, status))
        };
        let answered = patiently(env, "the sequencer", asked).await;
        let leads = |answered: &(_, v1::SequencerStatusAnswer)| answered.1.role == "leader";
        if env.now() >= deadline || answered.as_ref().is_ok_and(leads) {
            return answered;
        }
        env.sleep(ASK_EVERY).await;
    }
}

async fn unit_status(
    env: &Env,
    connector: &Arc<NodeConnector>,
    unit: &v1::UnitRef,
) -> Result<v1::UnitStatusAnswer, Refusal> {
    let unit_id = unit.unit_id;
    let asked = async {
        let role = connector.unit(unit_id, &unit.address).await?;
        role.status(v1::UnitStatusRequest { unit_id }).await
    };
    patiently(env, "the unit", asked).await
}

async fn materializer_status(
    env: &Env,
    connector: &Arc<NodeConnector>,
    member: &v1::Member,
) -> Result<v1::MaterializerStatusAnswer, Refusal> {
    let asked = async {
        let role = connector.materializer(&member.address).await?;
        role.status().await
    };
    patiently(env, "the materializer", asked).await
}

/// One attempt, and not for ever.
pub(crate) async fn patiently<T>(
    env: &Env,
    who: &str,
    asked: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let silent = || {
        let why = format!("it says nothing for {} s", PATIENCE.as_secs());
        Refusal::new(Code::Unavailable, who, why)
    };
    let answered = env.timeout(PATIENCE, asked).await;
    answered.unwrap_or_else(|_| Err(silent()))
}
