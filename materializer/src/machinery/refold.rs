//! The digest of the past, proven: the log is folded again into a store of its own, from LSN 1, or from a snapshot
//! where the log does not go back so far.
use std::sync::Arc;

use dfs_log::{Batch, Event, Follow, Follower, FrameAt};
use dfs_wire::frame::FrameDraft;
use dfs_wire::{Code, Refusal, v1};

use super::config::TURN;
use super::hub::Hub;
use super::open::view_failed;
use super::snapshots::load;
use super::streams::{Body, Reply};
use crate::fold::{FoldFrame, Folder, Halt};
use crate::state;
use crate::view::{MemoryView, View};

pub(crate) async fn answer(hub: Arc<Hub>, lsn: u64, reply: Reply) {
    match digest_at(&hub, lsn).await {
        Ok(digest) => {
            let body = v1::DigestAnswer {
                lsn,
                digest: digest.0,
                refolded: true,
            };
            reply.answer(lsn, digest.1, Body::Digest(body));
        }
        Err(refusal) => reply.refuse(refusal),
    }
}

/// (digest, log time) after `lsn`.
async fn digest_at(hub: &Arc<Hub>, lsn: u64) -> Result<(u64, u64), Refusal> {
    let Ok(_one) = hub.refolds.try_acquire() else {
        return Err(Refusal::new(Code::Busy, "refold", "another one is running"));
    };
    let end = hub.end().await?;
    if lsn >= end.next_lsn {
        let why = format!(
            "it lies in the future: the last record is {}",
            end.next_lsn - 1
        );
        return Err(Refusal::new(Code::Invalid, format!("LSN {lsn}"), why));
    }
    let refolded = refold(hub, lsn).await?;
    let live = hub.published.folded(lsn).await?;
    match state::digest(&*live, lsn).map_err(view_failed)? {
        Some(held) if held != refolded.0 => {
            let why = format!("it holds {held:016x}, the log folds to {:016x}", refolded.0);
            Err(Refusal::new(
                Code::Corrupt,
                format!("the state at LSN {lsn}"),
                why,
            ))
        }
        _ => Ok(refolded),
    }
}

/// FOLD-X4b: beside the store, from a snapshot that leads to what all agreed on: (LSN, digest).
pub(crate) async fn aside(
    hub: &Arc<Hub>,
    lsn: u64,
    (agreed_lsn, agreed): (u64, u64),
) -> Result<u64, Refusal> {
    let Ok(_one) = hub.refolds.try_acquire() else {
        return Err(Refusal::new(Code::Busy, "refold", "another one is running"));
    };
    let mut snapshot_max = agreed_lsn;
    loop {
        let (folder, begun_lsn) = begin(hub, snapshot_max).await?;
        let folder = fold_to(hub, folder, lsn).await?;
        let at_agreed = folder.digest_at(agreed_lsn).map_err(view_failed)?;
        if begun_lsn == 0 || at_agreed == Some(agreed) {
            return Ok(folder.stamp().digest);
        }
        tracing::warn!(
            begun_lsn,
            "a snapshot does not lead to what all agreed on; try an older one"
        );
        snapshot_max = begun_lsn - 1;
    }
}

/// (digest, log time), from a snapshot if the log does not go back to 1.
async fn refold(hub: &Arc<Hub>, lsn: u64) -> Result<(u64, u64), Refusal> {
    let (folder, _) = begin(hub, lsn).await?;
    let stamp = fold_to(hub, folder, lsn).await?.stamp();
    Ok((stamp.digest, stamp.log_time_us))
}

/// From a snapshot at or below `snapshot_max`, and its LSN, if the log does not go back to 1.
async fn begin(hub: &Arc<Hub>, snapshot_max: u64) -> Result<(Folder, u64), Refusal> {
    let view: Arc<dyn View> = Arc::new(MemoryView::new());
    let history = load::history(hub).await?;
    let mut begun_lsn = None;
    if history.trim_lsn > 1 {
        begun_lsn = load::newest(hub, &view, &history, snapshot_max).await?;
    }
    let folder = Folder::new(view).map_err(view_failed)?;
    Ok((folder, begun_lsn.unwrap_or(0)))
}

async fn fold_to(hub: &Arc<Hub>, mut folder: Folder, lsn: u64) -> Result<Folder, Refusal> {
    let begun = folder.stamp();
    if begun.lsn == lsn {
        return Ok(folder);
    }
    let mut follower = hub.log.follow(begun.lsn + 1, Follow::default()).await?;
    loop {
        for event in next_batch(hub, &mut follower).await?.events {
            let Event::Frame(at) = event else { continue };
            folder
                .fold(&up_to(at, lsn)?)
                .map_err(|halt| halted(&halt))?;
            if folder.is_full() {
                folder.commit().map_err(view_failed)?;
                tokio::task::yield_now().await;
            }
            if folder.stamp().lsn >= lsn {
                return Ok(folder);
            }
        }
    }
}

/// Units that are away are not waited for: who asked asks again.
async fn next_batch(hub: &Hub, follower: &mut Follower) -> Result<Batch, Refusal> {
    loop {
        match hub.env.timeout(TURN, follower.next()).await {
            Ok(batch) => return batch,
            Err(_) => match follower.waits_for() {
                Some(waits) => return Err(waits),
                None => continue,
            },
        }
    }
}

/// The frame, or the part of it up to `lsn`: what a record does depends on nothing behind it.
fn up_to(at: FrameAt, lsn: u64) -> Result<FoldFrame, Refusal> {
    let frame = if at.last_lsn() <= lsn {
        at.frame
    } else {
        let unreadable = |e: dfs_wire::frame::FrameError| {
            Refusal::new(
                Code::Corrupt,
                format!("frame at LSN {}", at.first_lsn),
                e.to_string(),
            )
        };
        let mut records = at.frame.records().map_err(unreadable)?;
        records.truncate((lsn + 1 - at.first_lsn) as usize);
        let header = at.frame.header;
        let draft = FrameDraft {
            tags: header.tags,
            guards: header.guards,
            order: header.order,
            privileged: header.privileged,
            records,
        };
        draft.freeze(header.lane, header.first_idx, header.chain)
    };
    Ok(FoldFrame {
        first_lsn: at.first_lsn,
        log_time_us: at.log_time_us,
        cut_seq: at.cut_seq,
        frame,
    })
}

pub(crate) fn halted(halt: &Halt) -> Refusal {
    if let Halt::View(error) = halt {
        return view_failed(error.clone()); // it is the store, not the log
    }
    Refusal::new(Code::State, "the fold", halt.to_string())
        .advice("Run a build that knows it; nothing was skipped")
}
