//! What the roles of a process tell of themselves: samples, what keeps them from serving, what ended them.
use super::RoleSet;
use super::materializer::serves;
use crate::config::RoleName;
use crate::metrics::{Own, own_samples};
use dfs_rpc::metrics::Sample;
use dfs_rpc::roles::Materializer as _;
use dfs_wire::v1;
use std::time::Duration;

impl RoleSet {
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
