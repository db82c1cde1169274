//! How far back reads and the log go, and what holds the log: pins and snapshots.
use crate::{calendar, figures};
use dfs_fs::Status;
use dfs_wire::v1;
use serde_json::{Value, json};
use std::fmt::Write;

/// The oldest LSN that can be read, with its log time: what the primary, or else anybody, says.
fn floor(status: &Status) -> Option<(u64, u64)> {
    let told = |answer: &v1::MaterializerStatusAnswer| (answer.floor_lsn, answer.floor_log_time_us);
    let answers = status.materializers.iter();
    let floors = answers.filter_map(|(_, answer)| answer.as_ref().ok().map(told));
    floors.max().filter(|(lsn, _)| *lsn > 0)
}

/// Of the log, on all units together.
fn log_bytes(status: &Status) -> u64 {
    let answers = status.units.iter();
    let bytes = answers.filter_map(|(_, answer)| Some(answer.as_ref().ok()?.log_bytes));
    bytes.sum()
}

fn history(status: &Status) -> v1::HistoryAnswer {
    status.sequencer.history.clone().unwrap_or_default()
}

pub(super) fn to_text(text: &mut String, status: &Status) {
    let history = history(status);
    let reads = match floor(status) {
        Some((lsn, us)) => format!("readable from lsn {lsn} ({})", calendar::format(us)),
        None => "readable from its beginning".into(),
    };
    let _ = writeln!(
        text,
        "history       {reads}; log from lsn {}, {} on all units",
        history.trim_lsn.max(1),
        figures::bytes(log_bytes(status))
    );
    lines(text, &history);
}

/// Pins and snapshots, one line each.
pub(crate) fn lines(text: &mut String, history: &v1::HistoryAnswer) {
    for pin in &history.pins {
        let _ = writeln!(text, "pin           {} at lsn {}", pin.name, pin.lsn);
    }
    for row in &history.snapshots {
        let _ = writeln!(
            text,
            "snapshot      of shard {} at lsn {}",
            row.shard, row.lsn
        );
    }
}

pub(super) fn to_json(status: &Status) -> Value {
    let (floor_lsn, floor_log_time_us) = floor(status).unwrap_or_default();
    let mut fields = json(&history(status));
    fields["floor_lsn"] = floor_lsn.into();
    fields["floor_log_time_us"] = floor_log_time_us.into();
    fields["log_bytes"] = log_bytes(status).into();
    fields
}

/// Of the log alone.
pub(crate) fn json(history: &v1::HistoryAnswer) -> Value {
    json!({
        "first_lsn": history.trim_lsn.max(1),
        "last_lsn": history.next_lsn.saturating_sub(1),
        "pins": history.pins.iter().map(pin).collect::<Vec<_>>(),
        "snapshots": history.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
    })
}

fn pin(pin: &v1::Pin) -> Value {
    let kind = pin.kind().as_str_name().trim_start_matches("PIN_KIND_");
    json!({ "name": pin.name, "lsn": pin.lsn, "kind": kind.to_lowercase() })
}

fn snapshot(row: &v1::SnapshotRow) -> Value {
    let digest = format!("{:016x}", row.digest);
    json!({ "shard": row.shard, "lsn": row.lsn, "digest": digest })
}
