//! `ReplicaAdded`, `ReplicaRemoved`: which nodes hold a shard.
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::replicas;
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

pub(crate) fn added(stage: &mut Stage<'_>, added: &v1::ReplicaAdded) -> Result<(), ViewError> {
    let key = keys::control(letter::REPLICA, &[added.shard, added.node_id]);
    stage.put(Keyspace::Control, &key, Some(&()))
}

/// FOLD-T0: never the last one.
pub(crate) fn removed(
    stage: &mut Stage<'_>,
    removed: &v1::ReplicaRemoved,
) -> Result<(), ViewError> {
    if replicas(&stage.read(), removed.shard)? == [removed.node_id] {
        return Ok(());
    }
    let key = keys::control(letter::REPLICA, &[removed.shard, removed.node_id]);
    stage.put::<()>(Keyspace::Control, &key, None)
}
