//! One append stream: frames are verified on the way in, credits go back as they change.

use std::sync::Arc;

use dfs_rpc::roles::{Answers, Requests};
use dfs_wire::frame::Frame;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::log::board::{Board, Listening};
use crate::log::ledger::Ledger;
use crate::log::owner::{Append, Order, room_for};

/// Answers with credits until either side ends.
pub(crate) fn append(
    env: &dfs_env::Env,
    ledger: &Arc<Ledger>,
    queue: &mpsc::Sender<Order>,
    requests: Requests<v1::AppendRequest>,
) -> Answers<v1::CreditBatch> {
    let board = Arc::new(Board::default());
    let intake = Intake {
        ledger: ledger.clone(),
        queue: queue.clone(),
        board: board.clone(),
        requests,
    };
    env.spawn("append", intake.run());
    let listening = Listening(board);
    stream::unfold(listening, |listening| async move {
        let next = listening.0.next().await?;
        Some((next, listening))
    })
    .boxed()
}

struct Intake {
    ledger: Arc<Ledger>,
    queue: mpsc::Sender<Order>,
    board: Arc<Board>,
    requests: Requests<v1::AppendRequest>,
}

impl Intake {
    async fn run(mut self) {
        let board = self.board.clone();
        let ledger = self.ledger.clone();
        tokio::select! {
            biased;
            () = board.closed() => {}
            () = ledger.stopped() => board.end(),
            taken = self.take_all() => match taken {
                Ok(()) => board.end(),
                Err(refusal) => board.refuse(refusal),
            },
        }
    }

    async fn take_all(&mut self) -> Result<(), Refusal> {
        while let Some(request) = self.requests.next().await {
            if self.board.is_refused() {
                return Ok(());
            }
            self.take(request).await?;
        }
        Ok(())
    }

    async fn take(&mut self, mut request: v1::AppendRequest) -> Result<(), Refusal> {
        crate::service::check_unit(&self.ledger.config, request.unit_id)?;
        let bytes = room_for(&request.frames);
        let traces = std::mem::take(&mut request.traces);
        let (lane, frames) = (request.lane, parse(request)?);
        // Back-pressure: waits while too much is staged (of all lanes).
        let room = self.ledger.room.clone().acquire_many_owned(bytes).await;
        let room = room.map_err(|_| ended())?;
        let append = Append {
            lane,
            frames,
            traces,
            board: self.board.clone(),
            room,
        };
        self.queue
            .send(Order::Append(append))
            .await
            .map_err(|_| ended())
    }
}

/// Whole frames of one lane, contiguous, beginning where the request says.
fn parse(request: v1::AppendRequest) -> Result<Vec<Frame>, Refusal> {
    let (lane, mut expected_idx) = (request.lane, request.first_idx);
    let mut frames = Vec::with_capacity(request.frames.len());
    for bytes in request.frames {
        let what = || format!("frame at lane {lane} idx {expected_idx}");
        let frame =
            Frame::parse(bytes).map_err(|e| Refusal::new(Code::Corrupt, what(), e.to_string()))?;
        if (frame.header.lane, frame.header.first_idx) != (lane, expected_idx) {
            let why = "it is not of the lane, or not at the place, that the request names";
            return Err(Refusal::new(Code::Invalid, what(), why));
        }
        expected_idx = frame.end_idx();
        frames.push(frame);
    }
    Ok(frames)
}

fn ended() -> Refusal {
    Refusal::new(Code::Unavailable, "append", "the unit has stopped")
}
