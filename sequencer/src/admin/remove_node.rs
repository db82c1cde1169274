//! RemoveNode: a process leaves the cluster for good, if nothing that only it holds goes with it.
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    pub(super) async fn remove_node(&self, node_id: u64) -> Result<v1::NodeRemoved, Refusal> {
        let what = format!("node {node_id}");
        let why = "it cannot be removed yet";
        Err(Refusal::new(Code::State, what, why))
    }
}
