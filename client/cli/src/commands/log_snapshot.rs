//! `dfsctl log snapshot`, `dfsctl log usage`: what lets the log be trimmed, and how far it is.
use crate::call::Call;
use crate::failure::Outcome;
use crate::figures;
use crate::status::history;
use dfs_wire::v1;
use serde_json::json;

pub(crate) async fn take(call: &Call) -> Outcome {
    let made = call.cluster().await?.fs.take_snapshot().await?;
    let v1::SnapshotMade {
        shard,
        lsn,
        digest,
        bytes,
        extents,
    } = made;
    let digest = format!("{digest:016x}");
    let fields = json!({ "shard": shard, "digest": digest, "bytes": bytes, "extents": extents });
    let size = figures::bytes(bytes);
    let line = format!("snapshot of shard {shard} at lsn {lsn}: {size} in {extents} extents");
    call.output
        .told("Snapshot", lsn, fields, lsn.to_string().as_bytes(), &line)
}

/// From where the log goes, and what holds it.
pub(crate) async fn usage(call: &Call) -> Outcome {
    let history = call.cluster().await?.log().history().await?;
    let first = history.trim_lsn.max(1);
    let last = history.next_lsn.saturating_sub(1);
    let fields = history::json(&history);
    let mut text = format!("log           lsn {first} to {last}\n");
    history::lines(&mut text, &history);
    let name = first.to_string();
    call.output
        .data("LogUsage", last, fields, name.as_bytes(), text.trim_end())
}
