//! A snapshot is stored, recorded and registered, in this order; beside the loop (SNAPSHOT.md).
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dfs_extents::Extents;
use dfs_wire::v1::history_change::Change;
use dfs_wire::{Code, Refusal, v1};
use prost::Message;

use super::holders::{self, ASK_MAX};
use crate::machinery::config::SHARD;
use crate::machinery::hub::Hub;
use crate::machinery::open::view_failed;
use crate::machinery::ops::{Answered, Work};
use crate::machinery::streams::Body;
use crate::snapshot::Encoder;
use crate::state;
use crate::view::Snapshot;

/// Several signs of life within the shortest lease that is of use.
const KEEP_EVERY: Duration = Duration::from_secs(3);

pub(super) async fn take(hub: &Arc<Hub>, snapshot: Snapshot) -> Result<v1::SnapshotMade, Refusal> {
    let session = open_session(hub).await?;
    let keeping = hub.env.spawn("keep session", keep(hub.clone(), session));
    let made = make(hub, snapshot, session).await;
    keeping.abort();
    let _ = ask(hub, Work::CloseSession(session)).await; // else it expires
    made
}

async fn make(
    hub: &Arc<Hub>,
    snapshot: Snapshot,
    session: u64,
) -> Result<v1::SnapshotMade, Refusal> {
    let placer = holders::Own {
        hub: hub.clone(),
        session,
        given: AtomicU64::new(0),
    };
    let extents = holders::extents(hub, Arc::new(placer))?;
    let stamp = snapshot.stamp;
    let stored = store(hub, &extents, snapshot).await?;
    let list = v1::SnapshotList {
        shard: SHARD,
        lsn: stamp.lsn,
        bytes: stored.size,
        groups: groups_of(hub, &stored.extents)?,
        extents: stored.extents.clone(),
    };
    let encoded = list.encode_to_vec();
    let mut writer = extents.writer(Some(encoded.len() as u64), None);
    writer.push(encoded.into()).await?;
    let listed = writer.finish().await?;
    let location = v1::SnapshotLocation {
        list_bytes: listed.size,
        groups: groups_of(hub, &listed.extents)?,
        list: listed.extents.clone(),
    };
    let taken = v1::SnapshotTaken {
        shard: SHARD,
        lsn: stamp.lsn,
        digest: stamp.digest,
        extents: [stored.extents, listed.extents].concat(),
        location: Some(location),
        bytes: stored.size,
    };
    let work = Work::SnapshotTaken(Box::new(taken.clone()), session);
    ask(hub, work).await?;
    register(hub, &taken).await?;
    Ok(v1::SnapshotMade {
        shard: SHARD,
        lsn: taken.lsn,
        digest: taken.digest,
        bytes: taken.bytes,
        extents: taken.extents.len() as u64,
    })
}

/// Chunk by chunk; nothing of the state is held but one.
async fn store(
    hub: &Hub,
    extents: &Extents,
    snapshot: Snapshot,
) -> Result<dfs_extents::Stored, Refusal> {
    let mut writer = extents.writer(None, None);
    let mut encoder = Encoder::new(snapshot, SHARD);
    loop {
        let made = hub.env.blocking(move || {
            let part = encoder.next();
            (encoder, part)
        });
        let (more, part) = made.await;
        encoder = more;
        match part.map_err(view_failed)? {
            Some(part) => writer.push(part).await?,
            None => return writer.finish().await,
        }
    }
}

fn groups_of(hub: &Hub, extents: &[v1::ExtentRef]) -> Result<Vec<v1::Group>, Refusal> {
    let newest = hub.published.newest()?;
    let ids: BTreeSet<u64> = extents.iter().map(|extent| extent.group).collect();
    let mut groups = Vec::with_capacity(ids.len());
    for id in ids {
        groups.extend(state::group(&*newest, id).map_err(view_failed)?);
    }
    Ok(groups)
}

/// Says it to the sequencer; what it knows already is no refusal (LOG-I16).
pub(super) async fn register(hub: &Hub, taken: &v1::SnapshotTaken) -> Result<(), Refusal> {
    let location = taken.location.clone().unwrap_or_default();
    let row = v1::SnapshotRow {
        shard: taken.shard,
        lsn: taken.lsn,
        digest: taken.digest,
        location: location.encode_to_vec().into(),
    };
    let change = Some(Change::SnapshotDone(row));
    hub.log.change_history(v1::HistoryChange { change }).await?;
    Ok(())
}

async fn open_session(hub: &Hub) -> Result<u64, Refusal> {
    let nonce = hub.env.random_u128().to_be_bytes().to_vec();
    let open = v1::OpenSession {
        client_nonce: nonce.into(),
    };
    match ask(hub, Work::OpenSession(open)).await?.body {
        Body::Session(granted) => Ok(granted.session),
        _ => Err(Refusal::new(Code::Unavailable, "session", "no answer")),
    }
}

async fn keep(hub: Arc<Hub>, session: u64) {
    loop {
        hub.env.sleep(KEEP_EVERY).await;
        if ask(&hub, Work::KeepSession(session)).await.is_err() {
            return; // the record will be void, if it comes to that
        }
    }
}

async fn ask(hub: &Hub, work: Work) -> Result<Answered, Refusal> {
    hub.ask_loop(work, hub.env.now() + ASK_MAX).await
}
