//! RemoveNode: a process leaves the cluster for good, if nothing that only it holds goes with it.
use crate::board::Seen;
use crate::order::command::{Kind, RemoveNode};
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};

const MATERIALIZER: &str = "materializer";
/// Records that another materializer may not have folded yet: some seconds of a busy log.
const LAG_MAX: u64 = 100_000;

impl SequencerRole {
    pub(super) async fn remove_node(&self, node_id: u64) -> Result<v1::NodeRemoved, Refusal> {
        let what = format!("node {node_id}");
        let known = self.known();
        self.leading(&what, |seen| {
            let members = seen.members().members;
            let Some(own) = members.iter().find(|member| member.node_id == node_id) else {
                return Ok(()); // the order says so
            };
            let mut group = known.addresses.values();
            if !own.address.is_empty() && group.any(|address| *address == own.address) {
                let why = "its sequencer belongs to the group";
                let advice = "Remove the sequencer first: dfsctl node remove sequencer/N";
                return Err(Refusal::new(Code::State, what.clone(), why).advice(advice));
            }
            if runs(own, MATERIALIZER) && !has_heir(seen, own, &members) {
                let why = "no other materializer lives that has folded nearly everything";
                let advice = "Start another one, and wait until it has caught up";
                return Err(Refusal::new(Code::State, what.clone(), why).advice(advice));
            }
            Ok(())
        })?;
        let remove = Kind::RemoveNode(RemoveNode { node_id });
        self.propose(&what, remove).await?;
        Ok(v1::NodeRemoved { node_id })
    }
}

fn runs(member: &v1::Member, role: &str) -> bool {
    member.roles.iter().any(|own| own == role)
}

fn has_heir(seen: &Seen, own: &v1::Member, members: &[v1::Member]) -> bool {
    let mut others = members.iter().filter(|other| other.node_id != own.node_id);
    others.any(|other| {
        runs(other, MATERIALIZER)
            && !other.gone
            && other.applied_lsn + LAG_MAX >= seen.order.next_lsn
    })
}
