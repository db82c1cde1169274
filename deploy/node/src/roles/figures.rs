//! What the roles of a process tell of themselves: samples, what keeps them from serving, what ended them.
use super::RoleSet;
use super::materializer::serves;
use crate::config::RoleName;
use crate::metrics::{Own, own_samples};
use dfs_rpc::metrics::Sample;
use dfs_rpc::roles::{Figures, Materializer as _};
use dfs_wire::{Code, Refusal, v1};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Tells of the process to whoever asks over its own port; holds none of its roles.
struct Teller {
    roles: Weak<RoleSet>,
    since: Instant,
}

#[async_trait::async_trait]
impl Figures for Teller {
    async fn figures(&self) -> Result<v1::FiguresAnswer, Refusal> {
        let Some(roles) = self.roles.upgrade() else {
            let why = "it is stopping";
            return Err(Refusal::new(Code::Unavailable, "the process", why));
        };
        let uptime = roles.env.now().saturating_duration_since(self.since);
        let samples = roles.samples(uptime).await;
        let names = roles.config.roles.iter();
        Ok(v1::FiguresAnswer {
            node_id: roles.owner.node_id,
            wall_us: roles.env.wall_us(),
            version: env!("CARGO_PKG_VERSION").into(),
            roles: names.map(|role| role.as_str().into()).collect(),
            figures: samples.into_iter().map(Sample::into_wire).collect(),
        })
    }
}

impl RoleSet {
    /// From now on its port tells of it, too.
    pub(crate) fn tell(self: &Arc<Self>) {
        self.shared.write().figures = Some(Arc::new(Teller {
            roles: Arc::downgrade(self),
            since: self.env.now(),
        }));
    }

    /// Every figure of the process and its roles as it is now.
    pub(crate) async fn samples(&self, uptime: Duration) -> Vec<Sample> {
        let names: Vec<&str> = self.config.roles.iter().map(|r| r.as_str()).collect();
        let mut samples = own_samples(&Own {
            node_id: self.owner.node_id,
            roles: &names.join(","),
            dir: &self.config.dir,
            uptime,
        });
        for voter in self.voters.iter().flat_map(|voters| voters.running()) {
            samples.extend(voter.samples());
        }
        for unit in self
            .units
            .running()
            .into_iter()
            .filter_map(|(_, unit)| unit)
        {
            samples.extend(unit.samples().await);
        }
        if let Some(materializer) = self.materializers.running() {
            samples.extend(materializer.samples());
        }
        samples
    }

    /// What each voter here sees of its group.
    pub(crate) fn groups(&self) -> Vec<v1::GroupStatus> {
        let voters = self.voters.iter().flat_map(|voters| voters.running());
        voters.map(|voter| voter.group_status()).collect()
    }

    /// Why roles have ended for good; empty: none has.
    pub(crate) fn ended(&self) -> Vec<String> {
        let voters = self.voters.iter().flat_map(|voters| voters.ended());
        let ended = voters.chain(self.materializers.ended());
        ended.map(|refusal| refusal.to_string()).collect()
    }

    /// Why not everything here serves; empty: it does.
    pub(crate) async fn unready(&self) -> Vec<String> {
        let mut why = self.ended();
        for group in self.groups().iter().filter(|group| group.leader == 0) {
            why.push(format!("sequencer {}: nobody leads", group.voter));
        }
        for (id, unit) in self.units.running() {
            match unit {
                Some(unit) if unit.has_heard() => {}
                Some(_) => why.push(format!("unit {id}: it has not heard of the sequencer yet")),
                None => why.push(format!("unit {id}: it is being opened")),
            }
        }
        if self.config.runs(RoleName::Materializer) {
            match self.materializers.running() {
                None => why.push("materializer: it is being opened".into()),
                Some(role) => match role.status().await {
                    Ok(status) if serves(&status) => {}
                    Ok(status) => why.push(format!("materializer: {}", status.role)),
                    Err(refusal) => why.push(format!("materializer: {refusal}")),
                },
            }
        }
        why
    }
}
