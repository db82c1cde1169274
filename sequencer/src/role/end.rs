//! End: the first LSN not yet assigned. One assertion of leadership serves all who wait for it.
use super::SequencerRole;
use crate::board::Board;
use crate::raft::Group;
use dfs_wire::{Code, Refusal, v1};
use openraft::ReadPolicy;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Callers queued: those of about a hundred busy processes; the rest waits to be queued.
pub(crate) const CALLERS_QUEUED: usize = 4_096;

pub(super) type Caller = oneshot::Sender<Result<v1::EndAnswer, Refusal>>;

impl SequencerRole {
    pub(super) async fn find_end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        if !request.linearizable {
            return Ok(end_now(&self.board));
        }
        let (caller, answer) = oneshot::channel();
        let stopped = || Refusal::new(Code::Unavailable, "end of the log", "the sequencer stopped");
        self.ends.send(caller).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn end_now(board: &Board) -> v1::EndAnswer {
    board.with(|seen| v1::EndAnswer {
        next_lsn: seen.order.next_lsn,
        log_time_us: seen.order.log_time_us,
        now_us: seen.order.log_time_us.max(board.clock_us(seen)),
        ..v1::EndAnswer::default()
    })
}

/// LOG-I10: the assertion begins after everyone it answers has asked. Who asks meanwhile is in the next.
pub(super) async fn answer(group: Group, board: Arc<Board>, mut callers: mpsc::Receiver<Caller>) {
    while let Some(first) = callers.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = callers.try_recv() {
            waiting.push(next);
        }
        let asserted = group.ensure_linearizable(ReadPolicy::ReadIndex).await;
        let answer = asserted.map_err(|e| {
            let why = format!("no leader confirms it: {e}");
            Refusal::new(Code::Unavailable, "end of the log", why)
        });
        let answer = answer.and_then(|_| board.sound()).map(|()| end_now(&board));
        for caller in waiting {
            let _gone = caller.send(answer.clone());
        }
    }
}
