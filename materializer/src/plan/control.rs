//! Plans of CONTROL: genesis, terms, replicas, sessions, groups, ticks, digests.
use super::draft::{planned, record, term_guard};
use super::{Context, Ids, Planned, Planning, Unplanned};
use dfs_wire::limits::RECORD_BYTES_MAX;
use dfs_wire::v1::guard::Guard;
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, Refusal, Tag, v1};
use std::collections::BTreeSet;

/// A client's nonce.
const NONCE_BYTES: usize = 16;

/// CONTROL facts of a shard's primary: for everybody, and for the shard that counts the frame (FOLD-X5).
fn tags_of(shard: u64) -> Vec<Tag> {
    vec![Tag::shard(shard), Tag::CONTROL]
}

/// FOLD-T0: the first frame. Whoever comes first wins; the others' are void.
pub fn genesis(
    cluster_id: &[u8],
    settings: v1::Settings,
    replicas: &[u64],
    owner: v1::Owner,
) -> Planned {
    let created = v1::ClusterCreated {
        cluster_id: cluster_id.to_vec().into(),
        settings: Some(settings),
        shards: vec![v1::ShardRange {
            shard: 0,
            first_key: Default::default(),
        }],
        replicas: replicas.to_vec(),
        owner: Some(owner),
    };
    let none_yet = Guard::Term(v1::TermGuard { shard: 0, term: 0 });
    // It makes the root directory too.
    let tags = vec![Tag::shard(0), Tag::CONTROL, Tag::SKELETON];
    planned(
        record(vec![Kind::ClusterCreated(created)], "", None),
        tags,
        [none_yet],
        false,
    )
}

/// FOLD-T1: alone in its frame; `prev_term` 0: there is none yet.
pub fn term_started(shard: u64, prev_term: u64, owner: v1::Owner) -> Planned {
    let guards = [
        Guard::Term(v1::TermGuard {
            shard,
            term: prev_term,
        }),
        Guard::Replica(v1::ReplicaGuard {
            shard,
            node_id: owner.node_id,
        }),
    ];
    let started = v1::TermStarted {
        shard,
        prev_term,
        owner: Some(owner),
    };
    planned(
        record(vec![Kind::TermStarted(started)], "", None),
        tags_of(shard),
        guards,
        false,
    )
}

/// A fact of CONTROL under the own term.
fn fact(context: &Context<'_>, kind: Kind) -> Planned {
    let record = record(vec![kind], context.actor, None);
    planned(record, tags_of(context.shard), [term_guard(context)], true)
}

pub fn replica_added(context: &Context<'_>, node_id: u64) -> Planned {
    let shard = context.shard;
    fact(
        context,
        Kind::ReplicaAdded(v1::ReplicaAdded { shard, node_id }),
    )
}

pub fn replica_removed(context: &Context<'_>, node_id: u64) -> Planned {
    let shard = context.shard;
    fact(
        context,
        Kind::ReplicaRemoved(v1::ReplicaRemoved { shard, node_id }),
    )
}

/// A session for a client process.
pub enum SessionPlan {
    /// The nonce has one already, folded: a repeated request.
    Open(u64),
    Planned {
        session: u64,
        planned: Box<Planned>,
    },
}

/// FOLD-S1. A repeated nonce gets its session (blocked while the first is in flight).
pub fn open_session(
    planning: Planning<'_>,
    request: &v1::OpenSession,
    context: &Context<'_>,
    ids: &mut Ids,
) -> Result<SessionPlan, Unplanned> {
    let nonce = &request.client_nonce;
    if nonce.len() != NONCE_BYTES {
        let why = format!(
            "its nonce has {} bytes instead of {NONCE_BYTES}",
            nonce.len()
        );
        return Err(Refusal::new(Code::Invalid, "open a session", why).into());
    }
    if let Some(session) = planning.session_of_nonce(nonce)? {
        return Ok(SessionPlan::Open(session));
    }
    let session = ids.allocate();
    let opened = v1::SessionOpened {
        session,
        actor: context.actor.to_owned(),
        client_nonce: nonce.clone(),
    };
    let planned = Box::new(fact(context, Kind::SessionOpened(opened)));
    Ok(SessionPlan::Planned { session, planned })
}

/// FOLD-S1: only when nothing of the session is in flight (the caller knows).
pub fn expire_session(context: &Context<'_>, session: u64) -> Planned {
    fact(
        context,
        Kind::SessionExpired(v1::SessionExpired { session }),
    )
}

/// FOLD-C1.
pub fn tick(context: &Context<'_>) -> Planned {
    fact(context, Kind::Tick(v1::Tick {}))
}

/// FOLD-B3.
pub fn floor_moved(context: &Context<'_>, floor_lsn: u64) -> Planned {
    fact(context, Kind::FloorMoved(v1::FloorMoved { floor_lsn }))
}

/// FOLD-B0: `group.group` is given by the plan.
pub fn open_group(context: &Context<'_>, ids: &mut Ids, group: v1::Group) -> (u64, Planned) {
    let id = ids.allocate();
    let group = Some(v1::Group { group: id, ..group });
    let mut planned = fact(context, Kind::GroupOpened(v1::GroupOpened { group }));
    planned.tags.insert(1, Tag::blocks(id));
    (id, planned)
}

pub fn close_group(context: &Context<'_>, group: u64) -> Planned {
    let mut planned = fact(context, Kind::GroupClosed(v1::GroupClosed { group }));
    planned.tags.insert(1, Tag::blocks(group));
    planned
}

/// FOLD-X4b: by any replica, guarded by its being one.
pub fn digest_taken(
    shard: u64,
    node_id: u64,
    (lsn, digest): (u64, u64),
    begun_lsn: u64,
) -> Planned {
    let guard = Guard::Replica(v1::ReplicaGuard { shard, node_id });
    let taken = v1::DigestTaken {
        shard,
        node_id,
        lsn,
        digest,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        begun_lsn,
    };
    planned(
        record(vec![Kind::DigestTaken(taken)], "", None),
        tags_of(shard),
        [guard],
        false,
    )
}

/// FOLD-X2, S4: guarded by the session that stored its extents, and by the groups they lie in.
pub fn snapshot_taken(
    context: &Context<'_>,
    session: u64,
    taken: v1::SnapshotTaken,
) -> Result<Planned, Refusal> {
    let extents = taken.extents.iter();
    let groups: BTreeSet<(u64, u32)> = extents.map(|e| (e.group, e.generation)).collect();
    let buckets = groups.iter().map(|(group, _)| Tag::blocks(*group));
    let mut tags: BTreeSet<Tag> = buckets.collect();
    tags.extend(tags_of(context.shard));
    let guard = |(group, generation)| Guard::Group(v1::GroupGuard { group, generation });
    let guards = [term_guard(context), Guard::Session(session)];
    let record = record(vec![Kind::SnapshotTaken(taken)], context.actor, None);
    let planned = Planned {
        foreign: true,
        ..planned(
            record,
            tags.into_iter().collect(),
            guards.into_iter().chain(groups.into_iter().map(guard)),
            true,
        )
    };
    if planned.encoded.len() <= RECORD_BYTES_MAX {
        return Ok(planned);
    }
    let why = "it has more extents than one record can name";
    Err(Refusal::new(Code::State, "snapshot", why))
}
