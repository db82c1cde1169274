//! Plans of CONTROL: genesis, terms, replicas, sessions, groups, ticks, digests.
use super::{Context, Ids, Planned, Planning, Unplanned};
use dfs_wire::v1;

/// FOLD-T0: the first frame. Whoever comes first wins; the others' are void.
pub fn genesis(cluster_id: &[u8], settings: v1::Settings, replicas: &[u64], owner: v1::Owner) -> Planned {
    let _ = (cluster_id, settings, replicas, owner);
    todo!()
}

/// FOLD-T1: alone in its frame; `prev_term` 0: there is none yet.
pub fn term_started(shard: u64, prev_term: u64, owner: v1::Owner) -> Planned {
    let _ = (shard, prev_term, owner);
    todo!()
}

pub fn replica_added(context: &Context<'_>, node_id: u64) -> Planned {
    let _ = (context, node_id);
    todo!()
}

/// A session for a client process.
pub enum SessionPlan {
    /// The nonce has one already, folded: a repeated request.
    Open(u64),
    Planned { session: u64, planned: Box<Planned> },
}

/// FOLD-S1. A repeated nonce gets its session (blocked while the first is in flight).
pub fn open_session(
    planning: Planning<'_>,
    request: &v1::OpenSession,
    context: &Context<'_>,
    ids: &mut Ids,
) -> Result<SessionPlan, Unplanned> {
    let _ = (planning, request, context, ids);
    todo!()
}

/// FOLD-S1: only when nothing of the session is in flight (the caller knows).
pub fn expire_session(context: &Context<'_>, session: u64) -> Planned {
    let _ = (context, session);
    todo!()
}

/// FOLD-C1.
pub fn tick(context: &Context<'_>) -> Planned {
    let _ = context;
    todo!()
}

/// FOLD-B0: `group.group` is given by the plan.
pub fn open_group(context: &Context<'_>, ids: &mut Ids, group: v1::Group) -> (u64, Planned) {
    let _ = (context, ids, group);
    todo!()
}

pub fn close_group(context: &Context<'_>, group: u64) -> Planned {
    let _ = (context, group);
    todo!()
}

/// FOLD-X4b: by any replica, guarded by its being one.
pub fn digest_taken(shard: u64, node_id: u64, lsn: u64, digest: u64) -> Planned {
    let _ = (shard, node_id, lsn, digest);
    todo!()
}
