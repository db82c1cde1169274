//! `dfsctl node wait`: until something is true, as the leader tells it.
use super::asked::Group;
use super::list::one;
use super::named::Named;
use super::row::Row;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use clap::ValueEnum;
use dfs_rpc::roles::Connector;
use dfs_wire::{Refusal, v1};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;

/// Between two watches: the first ended because another one leads.
const WATCH_AGAIN: Duration = Duration::from_millis(50);

#[derive(clap::Args, Debug)]
pub struct Args {
    /// sequencer/N, unit/N, materializer/N, node/N, or the address of a process with one role
    #[arg(value_name = "NAME")]
    name: Named,
    /// What is waited for
    #[arg(long = "for", value_name = "WHAT", value_enum)]
    what: What,
    /// How long: 500ms, 30s, 5m
    #[arg(long, value_name = "D", default_value = "60s", value_parser = crate::globals::parse_timeout)]
    deadline: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// It answers
    Live,
    /// It does not answer any more
    Gone,
    /// The cluster does not know it any more
    Removed,
    /// It is a learner
    Learner,
    /// It is a voter, leading or not
    Voter,
    /// It leads
    Leader,
    /// It has applied what was committed when this began
    CaughtUp,
}

/// What is true now, and what has to be applied.
struct Waiting {
    name: Named,
    what: What,
    goal: Option<u64>,
    last: Option<v1::GroupStatus>,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let mut waiting = Waiting {
        name: args.name,
        what: args.what,
        goal: None,
        last: None,
    };
    waiting.check()?;
    let env = &call.env;
    let watching = async {
        loop {
            match watch(&group, &mut waiting).await {
                Ok(true) => return Ok(()),
                Err(refusal) if !refusal.is_retryable() => return Err(Failure::from(refusal)),
                Ok(false) | Err(_) => env.sleep(WATCH_AGAIN).await,
            }
        }
    };
    match env.timeout(args.deadline, watching).await {
        Ok(done) => done?,
        Err(_) => return Err(waiting.too_late(args.deadline)),
    }
    let lsn = waiting
        .last
        .as_ref()
        .map_or(0, |status| status.next_lsn.saturating_sub(1));
    let name = waiting.name.to_string();
    let word = waiting.word();
    let fields = json!({ "name": name, "for": word });
    call.output.told(
        "NodeWaited",
        lsn,
        fields,
        name.as_bytes(),
        &format!("{name} is {word}"),
    )
}

/// One watch, until it is true or the watch ends.
async fn watch(group: &Group<'_>, waiting: &mut Waiting) -> Result<bool, Refusal> {
    let sequencer = group.connector.sequencer().await?;
    let mut told = sequencer.watch_group().await?;
    while let Some(status) = told.next().await {
        if waiting.hears(status?) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Waiting {
    /// Some things can never be true.
    fn check(&self) -> Outcome {
        let of_a_sequencer = matches!(self.what, What::Learner | What::Voter | What::Leader);
        let sense = match self.name {
            Named::Sequencer(_) | Named::Address(_) | Named::Node(_) => true,
            Named::Materializer(_) => !of_a_sequencer,
            Named::Unit(_) => !of_a_sequencer && self.what != What::CaughtUp,
        };
        if sense {
            return Ok(());
        }
        let (name, word) = (&self.name, self.word());
        let why = format!("{name} is never {word}");
        let advice = "Wait for live, gone or removed";
        Err(Failure::usage(
            format!("cannot wait until {name} is {word}"),
            why,
            advice,
        ))
    }

    fn word(&self) -> String {
        let value = self.what.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn hears(&mut self, status: v1::GroupStatus) -> bool {
        let row = one(&status, &self.name).ok();
        let holds = self.holds(&status, row.as_ref());
        self.last = Some(status);
        holds
    }

    fn holds(&mut self, status: &v1::GroupStatus, row: Option<&Row>) -> bool {
        let Some(row) = row else {
            return self.what == What::Removed;
        };
        match self.what {
            What::Removed => row.state == "dead" || row.state == "outside",
            What::Live => row.live,
            What::Gone => !row.live,
            What::Learner => row.state == "learner",
            What::Voter => matches!(row.state, "voter" | "leader"),
            What::Leader => row.state == "leader",
            What::CaughtUp => {
                let now = match row.name {
                    Named::Sequencer(_) => status.committed_index,
                    _ => status.next_lsn.saturating_sub(1),
                };
                let goal = *self.goal.get_or_insert(now);
                row.applied.is_some_and(|applied| applied >= goal)
            }
        }
    }

    fn too_late(&self, deadline: Duration) -> Failure {
        let (name, word) = (&self.name, self.word());
        let row = self.last.as_ref().and_then(|status| one(status, name).ok());
        let why = match (&self.last, row) {
            (None, _) => "no sequencer leads".to_string(),
            (Some(_), None) => "the cluster knows nothing of that name".to_string(),
            (Some(_), Some(row)) => {
                let live = if row.live { "live" } else { "away" };
                let lag = row
                    .lag
                    .map(|lag| format!(", {lag} behind"))
                    .unwrap_or_default();
                format!(
                    "after {deadline:?} it is {live}, its state {}{lag}",
                    row.state
                )
            }
        };
        let what = format!("{name} is not {word} in time");
        Failure::new(
            Exit::TimedOut,
            what,
            why,
            "Wait longer (--deadline), or look at dfsctl node list",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(applied_index: u64, committed_index: u64) -> v1::GroupStatus {
        let member = v1::GroupMember {
            id: 4,
            applied_index,
            ..v1::GroupMember::default()
        };
        v1::GroupStatus {
            committed_index,
            group: vec![member],
            ..v1::GroupStatus::default()
        }
    }

    fn waiting(name: &str, what: What) -> Waiting {
        Waiting {
            name: name.parse().expect("a name"),
            what,
            goal: None,
            last: None,
        }
    }

    /// F85: what was committed when it began; what comes later is nobody's lag.
    #[test]
    fn caught_up_is_what_was_committed_at_first() {
        let mut waiting = waiting("sequencer/4", What::CaughtUp);
        assert!(!waiting.hears(status(3, 9)));
        assert!(!waiting.hears(status(8, 20)));
        assert!(waiting.hears(status(9, 30)));
    }

    #[test]
    fn what_can_never_be_is_refused() {
        assert!(waiting("unit/1", What::Leader).check().is_err());
        assert!(waiting("unit/1", What::CaughtUp).check().is_err());
        assert!(waiting("materializer/1", What::CaughtUp).check().is_ok());
        let mut gone = waiting("sequencer/7", What::Removed);
        assert!(gone.hears(status(1, 1)));
    }
}
