//! WatchGroup: the group as its leader sees it, at every change.
use crate::role::{SequencerRole, ended, not_leading};
use dfs_rpc::roles::Answers;
use dfs_wire::{Refusal, v1};
use futures::{StreamExt, stream};
use openraft::async_runtime::WatchReceiver;
use std::time::Duration;

/// Under load everything changes with every cut: nobody has to know each.
const TELL_EVERY: Duration = Duration::from_millis(20);

impl SequencerRole {
    pub(crate) fn stream_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        let what = "watch over the group";
        if !self.leads() {
            return Err(not_leading(what).primary(self.leader_address()));
        }
        let (view, env) = (self.view(), self.env().clone());
        let (metrics, applied) = (self.group().metrics(), self.standing().applied());
        let members = self.shared_board().watch_members();
        let state = Some((view, metrics, applied, members));
        let told = stream::unfold((state, false), move |(state, again)| {
            let env = env.clone();
            async move {
                let (view, mut metrics, mut applied, mut members) = state?;
                if again {
                    tokio::select! {
                        biased;
                        changed = metrics.changed() => changed.ok()?,
                        changed = applied.changed() => changed.ok()?,
                        changed = members.changed() => changed.ok()?,
                    }
                    env.sleep(TELL_EVERY).await;
                }
                if !view.leads() {
                    return None;
                }
                let status = view.describe();
                Some((Ok(status), (Some((view, metrics, applied, members)), true)))
            }
        });
        let end = stream::once(async move { Err(ended(what)) });
        Ok(told.chain(end).boxed())
    }
}
