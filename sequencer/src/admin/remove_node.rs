//! RemoveNode: a process leaves the cluster for good, if nothing that only it holds goes with it.
use crate::order::command::{Kind, RemoveNode};
use crate::role::SequencerRole;
use dfs_wire::{Code, Refusal, v1};
use std::collections::BTreeSet;

const MATERIALIZER: &str = "materializer";
/// The one there is from the beginning.
const FIRST_SHARD: u64 = 0;
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
            if runs(own, MATERIALIZER)
                && let Some(why) = not_without(own, &members, seen.order.next_lsn)
            {
                let advice = "Wait until another replica has caught up, or start one";
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

/// Why a shard would be left without a replica that has caught up (FOLD-T0); shards are known from those who
/// say that they are replicas.
fn not_without(own: &v1::Member, members: &[v1::Member], next_lsn: u64) -> Option<String> {
    let all = members.iter().filter(|member| !member.removed);
    let mut shards: BTreeSet<u64> = all.flat_map(|member| member.replica_of.clone()).collect();
    shards.insert(FIRST_SHARD);
    let mut shards = shards.into_iter();
    shards.find_map(|shard| shard_without(shard, own, members, next_lsn))
}

fn shard_without(
    shard: u64,
    own: &v1::Member,
    members: &[v1::Member],
    next_lsn: u64,
) -> Option<String> {
    let is_other = |member: &&v1::Member| {
        member.node_id != own.node_id && !member.removed && member.replica_of.contains(&shard)
    };
    let others: Vec<&v1::Member> = members.iter().filter(is_other).collect();
    if others.is_empty() {
        return Some(format!("no other node is a replica of shard {shard}"));
    }
    let not_ready = |other: &&v1::Member| {
        let behind = next_lsn.saturating_sub(other.applied_lsn + 1);
        let why = match () {
            () if other.gone => "is gone".to_owned(),
            () if !other.ready_for.contains(&shard) => {
                "has not caught up or doubts its state".into()
            }
            () if behind > LAG_MAX => format!("is {behind} records behind"),
            () => return None,
        };
        Some(format!("node {} {why}", other.node_id))
    };
    let reasons: Vec<String> = others.iter().filter_map(not_ready).collect();
    let left_without = reasons.len() == others.len();
    left_without.then(|| {
        let listed = reasons.join(", ");
        format!("no replica of shard {shard} would be left that can serve: {listed}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(node_id: u64, applied_lsn: u64) -> v1::Member {
        v1::Member {
            node_id,
            applied_lsn,
            roles: vec![MATERIALIZER.to_owned()],
            replica_of: vec![FIRST_SHARD],
            ready_for: vec![FIRST_SHARD],
            ..v1::Member::default()
        }
    }

    fn why(members: &[v1::Member]) -> Option<String> {
        not_without(&members[0], members, 1_000_000)
    }

    #[test]
    fn the_last_replica_that_has_caught_up_stays() {
        let own = replica(1, 999_999);
        assert_eq!(why(&[own.clone(), replica(2, 999_990)]), None);
        let refused = |other| why(&[own.clone(), other]).expect("a reason");
        assert!(refused(replica(2, 10)).contains("node 2 is 999989 records behind"));
        // It has folded everything, and is not of the set: nobody elects it.
        let bystander = v1::Member {
            replica_of: Vec::new(),
            ready_for: Vec::new(),
            ..replica(2, 999_999)
        };
        assert!(refused(bystander).contains("no other node is a replica"));
        let gone = v1::Member {
            gone: true,
            ..replica(2, 999_999)
        };
        assert!(refused(gone.clone()).contains("node 2 is gone"));
        let doubts = v1::Member {
            ready_for: Vec::new(),
            ..replica(3, 999_999)
        };
        let told = why(&[own.clone(), gone.clone(), doubts.clone()]).expect("a reason");
        assert!(
            told.contains("node 2 is gone, node 3 has not caught up"),
            "{told}"
        );
        let left = v1::Member {
            removed: true,
            ..replica(4, 999_999)
        };
        assert!(refused(left).contains("no other node"));
        assert_eq!(why(&[own, gone, doubts, replica(5, 999_999)]), None);
    }
}
