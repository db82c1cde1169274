//! Questions for the end: many callers, one call in flight.
use std::sync::Arc;

use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::hub::Hub;
use super::retry;
use crate::outcome::Outcome;

type Answer = Outcome<Result<v1::EndAnswer, Refusal>>;

#[derive(Default)]
pub(super) struct Ends {
    /// Who came since the last call was sent: only a call sent later is linearizable for them (LOG-I10).
    waiting: Mutex<Option<Question>>,
    asked: Notify,
}

struct Question {
    linearizable: bool,
    answer: Arc<Answer>,
}

impl Ends {
    pub(super) async fn ask(&self, linearizable: bool) -> Result<v1::EndAnswer, Refusal> {
        let answer = {
            let mut waiting = self.waiting.lock();
            let question = waiting.get_or_insert_with(|| Question {
                linearizable: false,
                answer: Outcome::new(),
            });
            question.linearizable |= linearizable;
            question.answer.wait()
        };
        self.asked.notify_one();
        answer.await
    }
}

/// Answers until its group of tasks ends.
pub(super) async fn run(ends: Arc<Ends>, hub: Arc<Hub>) {
    loop {
        ends.asked.notified().await;
        let question = ends.waiting.lock().take();
        let Some(Question {
            linearizable,
            answer,
        }) = question
        else {
            continue;
        };
        let request = v1::EndRequest { linearizable };
        let call = |sequencer: Arc<dyn dfs_rpc::roles::Sequencer>| async move {
            sequencer.end(request).await
        };
        let end = retry::ask(&hub, "end of the log", call).await;
        if let Ok(end) = &end {
            hub.note_end(end.next_lsn);
        }
        answer.set(end);
    }
}
