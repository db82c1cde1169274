//! Unit: Hello, then Durable after each fdatasync; Base and orders back (LOG-D1).
use super::SequencerRole;
use super::subscribe::answers;
use crate::board::{Board, Seen};
use dfs_rpc::roles::{Answers, Requests};
use dfs_wire::v1::unit_report::Report;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use std::sync::Arc;
use tracing::error;

impl SequencerRole {
    pub(super) async fn converse_with_unit(
        &self,
        mut reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        let first = reports.next().await.and_then(|report| report.report);
        let Some(Report::Hello(hello)) = first else {
            return Err(Refusal::new(
                Code::Invalid,
                "unit",
                "its first report is not a Hello",
            ));
        };
        let unit = hello.unit_id;
        let (stream, orders) = self.leading("unit", |seen| {
            admit(seen, &hello)?;
            if let Err(refusal) = judge(seen, &hello) {
                seen.went_back = Some(refusal.clone());
                self.board.condemned.notify_one();
                return Err(refusal);
            }
            let stream = seen.next_stream();
            Ok((stream, self.board.join_unit(seen, &hello, stream)))
        })?;
        let board = self.board.clone();
        self.env
            .spawn("sequencer-unit", listen(board, unit, stream, reports));
        Ok(answers(orders, "unit's conversation with the sequencer"))
    }
}

/// Only the registered nonce speaks for a unit, and only while it is not Dead.
fn admit(seen: &Seen, hello: &v1::UnitHello) -> Result<(), Refusal> {
    let what = format!("unit {}", hello.unit_id);
    let Some(unit) = seen.order.units.get(&hello.unit_id) else {
        return Err(Refusal::new(
            Code::Mismatch,
            what,
            "this cluster does not know it",
        ));
    };
    let member = seen.order.members.get(&unit.node_id);
    let node = hello.node.unwrap_or_default();
    let incarnation = member.map(|member| member.incarnation);
    let why = if unit.nonce != hello.nonce {
        "it is known with another nonce: its directory is not the one that was registered"
    } else if unit.removed {
        "it was removed: empty its directory, and it joins as another unit"
    } else if unit.state() == v1::UnitState::Dead {
        "another directory has taken its slot: register first"
    } else if (unit.node_id, incarnation) != (node.node_id, Some(node.incarnation)) {
        "its process is not registered in this incarnation: register first"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Mismatch, what, why))
}

/// LOG-U9: what a unit has stamped was in the log once. Called by a leader only, which has applied the
/// first entry of its own term; before its first cut, as that stands on the Hellos of W units.
fn judge(seen: &Seen, hello: &v1::UnitHello) -> Result<(), Refusal> {
    let stamp = hello.last_stamp.unwrap_or_default();
    let next_lsn = seen.order.next_lsn;
    if stamp.lsn < next_lsn {
        return Ok(());
    }
    let why = format!(
        "it ends at LSN {}, but unit {} has stamped LSN {} (cut {}, entry {} of the journal)",
        next_lsn - 1,
        hello.unit_id,
        stamp.lsn,
        stamp.cut_seq,
        stamp.raft_index
    );
    Err(Refusal::new(Code::LogWentBack, "the log", why))
}

async fn listen(board: Arc<Board>, unit: u64, stream: u64, mut reports: Requests<v1::UnitReport>) {
    while let Some(report) = reports.next().await {
        let heard = match report.report {
            Some(Report::Durable(durable)) => {
                board.with(|seen| hear(&board, seen, unit, stream, &durable))
            }
            Some(Report::Hello(_)) | None => false,
        };
        if !heard {
            break;
        }
    }
    board.leave_unit(unit, stream);
}

/// False when the conversation has been replaced.
fn hear(board: &Board, seen: &mut Seen, unit: u64, stream: u64, durable: &v1::Durable) -> bool {
    let Seen {
        holdings, order, ..
    } = &mut *seen;
    if let Some(differing) = holdings.differing(order, unit, &durable.ends) {
        error!("units hold different bytes, they are never cut: {differing:?}");
    }
    let was_full = holdings.is_full(unit);
    if !holdings.durable(order, unit, stream, durable, board.now_us()) {
        return false;
    }
    let Seen { traced, order, .. } = &mut *seen;
    traced.hear(board.env(), order, unit, &durable.traces);
    if was_full != durable.full {
        board.tell_members(seen);
    }
    board.stirred.notify_one();
    true
}
