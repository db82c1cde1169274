//! `ClusterCreated`: genesis, and shard 0's first term (FOLD-T0).
use super::{made, term_started};
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::{ROOT_INODE, replicas};
use crate::view::{Keyspace, ViewError};
use dfs_wire::v1;

/// Of the root until somebody sets it.
const ROOT_MODE: u32 = 0o755;

pub(crate) fn apply(stage: &mut Stage<'_>, created: &v1::ClusterCreated) -> Result<(), ViewError> {
    stage.put(Keyspace::Control, &[letter::CLUSTER], Some(created))?;
    debug_assert!(replicas(&stage.read(), 0)?.is_empty());
    for node_id in &created.replicas {
        let key = keys::control(letter::REPLICA, &[0, *node_id]);
        stage.put(Keyspace::Control, &key, Some(&()))?;
    }
    term_started::start(stage, 0, created.owner)?;
    // The root's own entry lies at a key that no directory has: there is no inode 0.
    let root = v1::Made {
        inode: ROOT_INODE,
        kind: v1::Kind::Directory as i32,
        attr: Some(v1::Attr {
            mode: ROOT_MODE,
            mtime_ns: root_time_ns(stage),
            ..Default::default()
        }),
        ..Default::default()
    };
    made::apply(stage, &root)
}

fn root_time_ns(stage: &Stage<'_>) -> i64 {
    i64::try_from(stage.log_time_us.saturating_mul(1000)).unwrap_or(i64::MAX)
}
