//! Scan: frames and skips of one stripe in LSN order, as far as they were cut; then, if asked, as cuts arrive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::Answers;
use dfs_wire::frame::Frame;
use dfs_wire::v1::scan_item::Item;
use dfs_wire::{Code, Refusal, Tag, v1};
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::log::ledger::Ledger;
use crate::log::read::{Lack, read_back};
use crate::unit::lane::tag_filter;
use crate::unit::plan::{
    FrameStep, Plan, Question, Step, Stop, corrupt_refusal, join_skip, skip_of,
};

/// One batch, when the reader names no size; and its bounds: a frame, and a quarter of a message.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_BYTES_MIN: u64 = 64 << 10;
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// How long a reader waits for a frame that others hold and this unit does not: about a repeated
/// send; then it is told to ask another unit (LOG-R3).
const LAG_WAIT: Duration = Duration::from_millis(500);

struct Scan {
    env: Env,
    ledger: Arc<Ledger>,
    question: Question,
    tags: BTreeSet<u64>,
    max_bytes: u64,
    cursor: u64,
    /// Everything below was said to be answered.
    progress: u64,
    readable: watch::Receiver<u64>,
    end: End,
}

/// How the stream ends once what was found is sent.
enum End {
    Open,
    Refused(Refusal),
    /// After an error nothing follows either.
    Ended,
}

pub(crate) fn scan(
    env: &Env,
    ledger: &Arc<Ledger>,
    request: v1::ScanRequest,
) -> Answers<v1::ScanBatch> {
    let tags: Vec<Tag> = request.tags.iter().map(|tag| Tag(*tag)).collect();
    let question = Question {
        stripe: request.stripe,
        tag_filter: tag_filter(&tags),
        except_lanes: request.except_lanes,
        last_lsn: request.last_lsn,
    };
    let max_bytes = if request.max_bytes == 0 {
        BATCH_BYTES
    } else {
        request.max_bytes
    };
    let cursor = request.from_lsn.max(1);
    let scan = Scan {
        env: env.clone(),
        ledger: ledger.clone(),
        question,
        tags: request.tags.into_iter().collect(),
        max_bytes: max_bytes.clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX),
        cursor,
        progress: cursor,
        readable: ledger.watch_readable(),
        end: End::Open,
    };
    let batches = stream::unfold(scan, |mut scan| async move {
        let next = scan.next().await?;
        Some((next, scan))
    });
    batches.boxed()
}

impl Scan {
    async fn next(&mut self) -> Option<Result<v1::ScanBatch, Refusal>> {
        let mut lagging_since = None;
        loop {
            match std::mem::replace(&mut self.end, End::Ended) {
                End::Open => self.end = End::Open,
                End::Refused(refusal) => return Some(Err(refusal)),
                End::Ended => return None,
            }
            if self.ledger.is_stopping() {
                return None;
            }
            self.readable.mark_unchanged();
            let mut plan =
                self.ledger
                    .state
                    .lock()
                    .plan(&self.question, self.cursor, self.max_bytes);
            let stop = std::mem::replace(&mut plan.stop, Stop::Done);
            let items = self.fetch(plan).await;
            let answered = !items.is_empty();
            match stop {
                Stop::Refused(refusal) => self.end_with(End::Refused(refusal)),
                Stop::Done => self.end_with(End::Ended),
                Stop::Lag { lane, idx } if !answered => {
                    let since = *lagging_since.get_or_insert_with(|| self.env.now());
                    self.wait_for(lane, idx, since).await;
                }
                Stop::End if !answered => {
                    lagging_since = None;
                    self.readable.changed().await.ok()?;
                }
                Stop::Batch | Stop::End | Stop::Lag { .. } => {}
            }
            if answered {
                return Some(Ok(v1::ScanBatch { items }));
            }
        }
    }

    /// What `fetch` has found wrong comes first.
    fn end_with(&mut self, end: End) {
        if matches!(self.end, End::Open) {
            self.end = end;
        }
    }

    /// LOG-R3: a frame that others hold may come, for a while.
    async fn wait_for(&mut self, lane: u64, idx: u64, since: Instant) {
        let left = (since + LAG_WAIT).saturating_duration_since(self.env.now());
        if self
            .env
            .timeout(left, self.readable.changed())
            .await
            .is_err()
        {
            let why = format!("this unit does not hold lane {lane} from idx {idx} on yet");
            let what = format!("scan at LSN {}", self.cursor);
            let refusal = Refusal::new(Code::NotYet, what, why).at(self.cursor);
            self.end_with(End::Refused(
                refusal.advice("Ask another unit of the stripe"),
            ));
        }
    }

    /// Carries a plan out. Damage ends the scan after what came before it.
    async fn fetch(&mut self, plan: Plan) -> Vec<v1::ScanItem> {
        let mut items = Vec::with_capacity(plan.steps.len() + 1);
        let mut skip: Option<v1::Skip> = None;
        for step in plan.steps {
            match step {
                Step::Skip(more) => {
                    add_skip(&mut skip, more.first_lsn, more.last_lsn + 1, more.count)
                }
                Step::Frame(step) => match self.frame(&step).await {
                    Ok(frame) if self.wants(&frame) => {
                        flush(&mut items, &mut skip);
                        items.push(item(Item::Frame(scanned(&step, &frame))));
                    }
                    Ok(_) => {
                        let (first, end) = step.asked;
                        add_skip(&mut skip, first, end, end - first);
                    }
                    Err(refusal) => {
                        flush(&mut items, &mut skip);
                        self.cursor = step.asked.0;
                        self.end = End::Refused(refusal);
                        return items;
                    }
                },
            }
        }
        flush(&mut items, &mut skip);
        self.cursor = plan.cursor;
        if self.cursor > self.progress {
            self.progress = self.cursor;
            items.push(item(Item::ProgressThroughLsn(self.cursor - 1)));
        }
        items
    }

    fn wants(&self, frame: &Frame) -> bool {
        self.tags.is_empty()
            || frame
                .header
                .tags
                .iter()
                .any(|tag| self.tags.contains(&tag.0))
    }

    async fn frame(&self, step: &FrameStep) -> Result<Arc<Frame>, Refusal> {
        let found = read_back(&self.ledger, step.lane, &step.held).await;
        found.map_err(|lack| match lack {
            Lack::SetAside => {
                let what = format!("scan at LSN {}", step.first_lsn);
                let refusal = Refusal::new(Code::NotYet, what, "what lay there was set aside");
                refusal.at(step.first_lsn)
            }
            Lack::Trimmed => {
                let what = format!("cannot read the log at LSN {}", step.first_lsn);
                self.ledger.state.lock().trimmed_refusal(&what)
            }
            Lack::Damaged => {
                let range = step.held.first_idx()..step.held.end_idx();
                corrupt_refusal(step.lane, range, step.first_lsn)
            }
        })
    }
}

fn add_skip(skip: &mut Option<v1::Skip>, first: u64, end: u64, count: u64) {
    let skip = skip.get_or_insert_with(|| v1::Skip {
        count: 0,
        ..skip_of(first, end)
    });
    let before = skip.count;
    join_skip(skip, first, end);
    skip.count = before + count;
}

fn flush(items: &mut Vec<v1::ScanItem>, skip: &mut Option<v1::Skip>) {
    items.extend(skip.take().map(|skip| item(Item::Skip(skip))));
}

fn scanned(step: &FrameStep, frame: &Frame) -> v1::ScannedFrame {
    v1::ScannedFrame {
        first_lsn: step.first_lsn,
        cut_seq: step.cut_seq,
        log_time_us: step.log_time_us,
        lane: step.lane,
        frame: frame.bytes().clone(),
    }
}

fn item(item: Item) -> v1::ScanItem {
    v1::ScanItem { item: Some(item) }
}
