//! KeepAlive: beats of a process in, members out whenever they change (LOG-D5).
use super::{SequencerRole, ended};
use crate::board::{Board, Seen};
use dfs_rpc::roles::{Answers, Requests};
use dfs_wire::{Code, Refusal, v1};
use futures::stream::{self, StreamExt};
use std::sync::Arc;
use tokio::sync::watch;

impl SequencerRole {
    pub(super) async fn keep_process_alive(
        &self,
        mut beats: Requests<v1::Beat>,
    ) -> Result<Answers<v1::Members>, Refusal> {
        let Some(first) = beats.next().await else {
            return Err(Refusal::new(
                Code::Invalid,
                "keep-alive",
                "it ended before the first beat",
            ));
        };
        let node = first.node_id;
        let members = self.board.watch_members();
        let stream = self.leading("keep-alive", |seen| {
            admit(seen, &first)?;
            let stream = seen.next_stream();
            heard(&self.board, seen, first, stream);
            Ok(stream)
        })?;
        // The listener's end ends the answers too: a gone incarnation is told so.
        let (open, closed) = watch::channel(());
        let board = self.board.clone();
        self.env.spawn("sequencer-keep-alive", async move {
            listen(&board, node, stream, beats).await;
            drop(open);
        });
        Ok(answers(members, closed))
    }
}

/// Only the registered incarnation beats; an older one is gone for good.
fn admit(seen: &Seen, beat: &v1::Beat) -> Result<(), Refusal> {
    let member = seen.order.members.get(&beat.node_id);
    if member.is_some_and(|member| member.incarnation == beat.incarnation) {
        return Ok(());
    }
    let what = format!("node {}", beat.node_id);
    Err(Refusal::new(
        Code::Mismatch,
        what,
        "it is not registered in this incarnation",
    ))
}

fn heard(board: &Board, seen: &mut Seen, beat: v1::Beat, stream: u64) {
    let resting = !seen.pulses.any_beating();
    if seen.pulses.beat(beat, stream, board.now_us()) {
        board.tell_members(seen);
    }
    if resting {
        board.woken.notify_one();
    }
}

async fn listen(board: &Arc<Board>, node: u64, stream: u64, mut beats: Requests<v1::Beat>) {
    while let Some(beat) = beats.next().await {
        let goes_on = board.with(|seen| {
            let admitted = seen.leads && beat.node_id == node && admit(seen, &beat).is_ok();
            if admitted {
                heard(board, seen, beat, stream);
            }
            admitted
        });
        if !goes_on {
            break;
        }
    }
    board.with(|seen| {
        if seen.pulses.broke(node, stream) {
            board.tell_members(seen);
        }
    });
}

/// Members as they are now, then at every change, until the listener has ended.
fn answers(
    mut members: watch::Receiver<Arc<v1::Members>>,
    closed: watch::Receiver<()>,
) -> Answers<v1::Members> {
    members.mark_changed();
    let changes = stream::unfold((members, closed), |(mut members, mut closed)| async move {
        tokio::select! {
            biased;
            changed = members.changed() => changed.ok()?,
            _ = closed.changed() => return None,
        }
        let now = members.borrow_and_update().as_ref().clone();
        Some((Ok(now), (members, closed)))
    });
    changes
        .chain(stream::once(async { Err(ended("keep-alive")) }))
        .boxed()
}
