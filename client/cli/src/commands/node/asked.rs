//! The sequencer that leads, asked for as long as the command has time.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_fs::{Code, Refusal, v1};
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::leading::Dial;
use dfs_rpc::roles::{Connector, Sequencer};
use dfs_wire::v1::admin_answer::Answer;
use dfs_wire::v1::admin_request::Op;
use std::sync::Arc;
use std::time::Duration;

/// One attempt to reach a sequencer by its address: some round trips, and a handshake. A host that is not
/// there says nothing at all.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(2);
/// An election is over within some of these.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The way to the group that a command is about.
pub(super) struct Group<'a> {
    pub(super) call: &'a Call,
    pub(super) connector: Arc<NodeConnector>,
}

fn request(op: Op) -> v1::AdminRequest {
    v1::AdminRequest { op: Some(op) }
}

fn odd() -> Failure {
    let why = "the sequencer's answer is of a kind that this build does not know";
    Failure::new(
        Exit::Other,
        "cannot go on",
        why,
        "Use the same version of dfs on both sides",
    )
}

fn nobody_answers(address: &str) -> Refusal {
    let why = "nothing answers there in time";
    let advice = "Look whether the sequencer runs, and whether this is the address it advertises";
    Refusal::new(
        Code::Unavailable,
        format!("the sequencer at {address}"),
        why,
    )
    .advice(advice)
}

impl<'a> Group<'a> {
    pub(super) async fn find(call: &'a Call) -> Outcome<Group<'a>> {
        let connector = call.connector().await?;
        Ok(Group { call, connector })
    }

    /// Asks whoever leads until it is answered, or a refusal says that this cannot help.
    pub(super) async fn ask(&self, op: Op) -> Outcome<Answer> {
        Ok(self.try_ask(op).await?)
    }

    /// As `ask`; the refusal is the last one. An outcome that was not known once is known at the end
    /// only by the state of the group.
    pub(super) async fn try_ask(&self, op: Op) -> Result<Answer, Refusal> {
        let op = &op;
        let ask = async |leader: Arc<dyn Sequencer>| leader.administer(request(op.clone())).await;
        let answer = self.try_with(ask).await?.answer;
        answer.ok_or_else(|| Refusal::new(Code::Mismatch, "the sequencer", "an empty answer"))
    }

    /// As `try_ask`, for any question to the leader.
    pub(super) async fn try_with<T>(
        &self,
        ask: impl AsyncFn(Arc<dyn Sequencer>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let env = &self.call.env;
        let deadline = env.now() + self.call.globals.timeout();
        loop {
            let asked = async { ask(self.connector.sequencer().await?).await };
            let left = deadline.saturating_duration_since(env.now());
            let late =
                || Refusal::new(Code::TimedOut, "the sequencer", "it did not answer in time");
            let answered = env.timeout(left, asked).await;
            match answered.unwrap_or_else(|_| Err(late())) {
                Ok(answer) => return Ok(answer),
                Err(refusal) if !refusal.is_retryable() => return Err(refusal),
                Err(refusal) if env.now() + ASK_EVERY >= deadline => return Err(refusal),
                Err(_) => env.sleep(ASK_EVERY).await,
            }
        }
    }

    /// The group as its leader sees it.
    pub(super) async fn status(&self) -> Outcome<v1::GroupStatus> {
        match self.ask(Op::GroupStatus(v1::GroupStatusRequest {})).await? {
            Answer::GroupStatus(status) => Ok(status),
            _ => Err(odd()),
        }
    }

    /// What the sequencer that answers at this address says of itself.
    pub(super) async fn status_of(&self, address: &str) -> Outcome<v1::GroupStatus> {
        let env = &self.call.env;
        let deadline = env.now() + self.call.globals.timeout_to_find();
        loop {
            let asked = async {
                let sequencer = self.connector.dial(address).await?;
                let op = Op::GroupStatus(v1::GroupStatusRequest {});
                sequencer.administer(request(op)).await
            };
            let left = deadline.saturating_duration_since(env.now());
            let within = ATTEMPT_WITHIN.min(left.max(ASK_EVERY));
            let attempt = env.timeout(within, asked).await;
            let silent = || nobody_answers(address);
            match attempt
                .unwrap_or_else(|_| Err(silent()))
                .map(|answer| answer.answer)
            {
                Ok(Some(Answer::GroupStatus(status))) => return Ok(status),
                Ok(_) => return Err(odd()),
                // It may be starting.
                Err(refusal) if refusal.is_retryable() && env.now() < deadline => {
                    env.sleep(ASK_EVERY).await;
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    pub(super) async fn caught_up(&self, id: u64, within: Duration) -> Outcome<v1::CaughtUp> {
        let within_us = within.as_micros() as u64;
        let asked = Op::CaughtUp(v1::CaughtUpRequest { id, within_us });
        match self.ask(asked).await? {
            Answer::CaughtUp(caught_up) => Ok(caught_up),
            _ => Err(odd()),
        }
    }

    /// The profile in use names the voters as they are now.
    pub(super) async fn remember(&self) -> Outcome {
        let status = self.status().await?;
        let voters = status.group.into_iter().filter(|member| member.is_voter);
        let addresses: Vec<String> = voters.map(|member| member.address).collect();
        if self.call.remember_sequencers(&addresses)? {
            let now = addresses.join(", ");
            self.call
                .note(&format!("the profile names {now} from now on"));
        }
        Ok(())
    }
}
