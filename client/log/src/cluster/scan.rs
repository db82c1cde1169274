//! What one stripe answers: a scan that goes to the next unit when one is damaged, late or away (LOG-R3).
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dfs_rpc::roles::Answers;
use dfs_wire::frame::Frame;
use dfs_wire::{Code, Refusal, v1};
use futures::Stream;

use super::hub::{Hub, holders};
use super::retry;
use super::verdicts::{Verdict, Verdicts};
use crate::shared_log::{FrameAt, Lsn};

/// Frames that wait to be merged, per stripe: two full answers of a unit.
const BUFFER_BYTES: usize = 4 << 20;
/// Of one answer; the unit may bound it lower.
const ANSWER_BYTES: u64 = 1 << 20;
/// Skips are joined from here on: their exact bounds only sharpen the check of coverage.
const SKIPS_KEPT: usize = 1024;
/// A unit that does not answer for what is cut within this is behind: the next one is asked.
const LAG_TIME: Duration = Duration::from_millis(500);
/// The time doubles so often: when every disk is slow, going round helps nobody.
const LAG_DOUBLINGS: u32 = 5;
/// Failures in a row after which the addresses are asked for again.
const REFRESH_AFTER: u32 = 6;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Which part of a stripe is wanted.
pub(super) struct Wanted {
    pub(super) from_lsn: Lsn,
    /// 0: for ever.
    pub(super) last_lsn: Lsn,
    pub(super) tags: Vec<u64>,
    pub(super) except_lanes: Vec<u64>,
}

pub(super) struct StripeScan {
    hub: Arc<Hub>,
    stripe: Arc<v1::StripeState>,
    /// The unit that is asked.
    asked: u64,
    wanted: Wanted,
    /// Every LSN of this stripe up to here was answered.
    covered: Lsn,
    items: VecDeque<Item>,
    buffered_bytes: usize,
    state: State,
    /// Armed while somebody waits for an answer.
    late: Option<Later<()>>,
    turn: usize,
    failures: u32,
    /// What units said of the LSN that comes next.
    verdicts: Verdicts,
    /// Somebody waits for everything up to here.
    needed: Lsn,
}

enum State {
    Idle,
    Opening(Later<Result<Answers<v1::ScanBatch>, Refusal>>),
    Open(Answers<v1::ScanBatch>),
    Pausing(Later<()>),
}

struct Item {
    first_lsn: Lsn,
    last_lsn: Lsn,
    /// Records of this stripe in it.
    count: u64,
    frame: Option<FrameAt>,
}

/// What a stripe said of the LSNs up to some point.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) count: u64,
    /// Records skipped in a range that goes beyond the point: between 0 and all of them lie before it.
    pub(super) straddling: u64,
}

impl StripeScan {
    pub(super) fn new(hub: Arc<Hub>, stripe: Arc<v1::StripeState>, wanted: Wanted) -> StripeScan {
        // Scans of one stripe by different processes begin at different units.
        let turn = (hub.env.random_u64() % stripe.units.len().max(1) as u64) as usize;
        StripeScan {
            hub,
            stripe,
            asked: 0,
            covered: wanted.from_lsn - 1,
            wanted,
            items: VecDeque::new(),
            buffered_bytes: 0,
            state: State::Idle,
            late: None,
            turn,
            failures: 0,
            verdicts: Verdicts::default(),
            needed: 0,
        }
    }

    /// Exceeds every LSN once a bounded scan has ended.
    pub(super) fn covered(&self) -> Lsn {
        if self.has_ended() {
            Lsn::MAX
        } else {
            self.covered
        }
    }

    /// Frames of this lane would be missed here.
    pub(super) fn leaves_out(&self, lane: u64) -> bool {
        self.wanted.except_lanes.contains(&lane)
    }

    fn has_ended(&self) -> bool {
        self.wanted.last_lsn != 0 && self.covered >= self.wanted.last_lsn
    }

    /// Reads on until nothing more is there now, or enough is buffered. `needed`: what somebody waits for.
    /// An error is final.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, needed: Lsn) -> Result<(), Refusal> {
        self.needed = needed;
        while !self.has_ended() && self.buffered_bytes < BUFFER_BYTES {
            let polled = match &mut self.state {
                State::Idle => {
                    self.state = State::Opening(self.open());
                    continue;
                }
                State::Pausing(pause) => match pause.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        self.state = State::Idle;
                        continue;
                    }
                    Poll::Pending => return Ok(()),
                },
                State::Opening(opening) => opening.as_mut().poll(cx).map_ok(State::Open),
                State::Open(answers) => match Pin::new(answers).poll_next(cx) {
                    Poll::Ready(Some(Ok(batch))) => {
                        if let Err(refusal) = self.absorb(batch) {
                            self.failed(refusal)?;
                        }
                        continue;
                    }
                    Poll::Ready(Some(Err(refusal))) => Poll::Ready(Err(refusal)),
                    Poll::Ready(None) => Poll::Ready(Err(self.refusal("the unit stopped"))),
                    Poll::Pending => Poll::Pending,
                },
            };
            match polled {
                Poll::Ready(Ok(state)) => self.state = state,
                Poll::Ready(Err(refusal)) => self.failed(refusal)?,
                Poll::Pending if self.is_late(cx, needed) => {
                    self.failed(self.refusal("the unit is behind"))?;
                }
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    fn refusal(&self, why: &str) -> Refusal {
        let what = format!(
            "stripe {} from LSN {}",
            self.stripe.stripe,
            self.covered + 1
        );
        Refusal::new(Code::Unavailable, what, why)
    }

    fn open(&mut self) -> Later<Result<Answers<v1::ScanBatch>, Refusal>> {
        self.stripe = self.heard();
        let (hub, stripe) = (self.hub.clone(), self.stripe.stripe);
        let turn = self.turn % self.copies();
        let unit = holders(&self.stripe).nth(turn).cloned();
        self.asked = unit.as_ref().map_or(0, |unit| unit.unit_id);
        let mut request = v1::ScanRequest {
            unit_id: 0,
            stripe,
            from_lsn: self.covered + 1,
            tags: self.wanted.tags.clone(),
            except_lanes: self.wanted.except_lanes.clone(),
            max_bytes: ANSWER_BYTES,
            last_lsn: self.wanted.last_lsn,
        };
        Box::pin(async move {
            let nobody = || Refusal::new(Code::Absent, format!("stripe {stripe}"), "has no units");
            let unit = unit.ok_or_else(nobody)?;
            request.unit_id = unit.unit_id;
            let address = hub.address(stripe, unit.unit_id).unwrap_or(unit.address);
            let scanned = async {
                let role = hub.connector.unit(unit.unit_id, &address).await?;
                role.scan(request).await
            };
            retry::attempt(&hub, "scan", scanned).await
        })
    }

    fn is_late(&mut self, cx: &mut Context<'_>, needed: Lsn) -> bool {
        if self.covered >= needed {
            self.late = None;
            return false;
        }
        let (hub, time) = (
            &self.hub,
            LAG_TIME * (1 << self.failures.min(LAG_DOUBLINGS)),
        );
        let late = self.late.get_or_insert_with(|| {
            let env = hub.env.clone();
            Box::pin(async move { env.sleep(time).await })
        });
        late.as_mut().poll(cx).is_ready()
    }

    /// At least one: of a stripe without units nothing is ever found.
    fn copies(&self) -> usize {
        holders(&self.stripe).count().max(1)
    }

    /// LOST, or who is waited for; by the states that were heard last.
    fn judge(&self) -> Verdict {
        let units: Vec<v1::UnitRef> = holders(&self.heard()).cloned().collect();
        self.verdicts.judge(&units, self.hub.env.now())
    }

    /// The stripe as it was heard last: its units do not change, who else holds it may.
    fn heard(&self) -> Arc<v1::StripeState> {
        let heard = self.hub.stripe(self.stripe.stripe);
        heard.unwrap_or_else(|| self.stripe.clone())
    }

    /// LOG-R3: the next unit; after all of them a pause. When no copy has it, it is LOST.
    fn failed(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        let units = self.copies();
        if refusal.code() == Code::Trimmed {
            return Err(refusal);
        }
        let now = self.hub.env.now();
        match self.asked {
            0 => return Err(self.lost("it has no units")),
            unit => self.verdicts.note(unit, &refusal, now),
        }
        if let Verdict::Lost(why) = self.judge() {
            return Err(self.lost(&why));
        }
        let stripe = self.stripe.stripe;
        tracing::debug!(%refusal, stripe, from_lsn = self.covered + 1, "the next unit is asked");
        (self.late, self.turn, self.failures) = (None, self.turn + 1, self.failures + 1);
        if self.failures.is_multiple_of(REFRESH_AFTER) {
            self.hub.refresh();
        }
        let rounds = self.failures / units as u32;
        self.state = if (self.failures as usize).is_multiple_of(units) {
            let env = self.hub.env.clone();
            State::Pausing(Box::pin(
                async move { env.sleep(retry::pause(rounds)).await },
            ))
        } else {
            State::Idle
        };
        Ok(())
    }

    /// The LSNs that nobody answers for: from the first, to at most the last.
    fn range(&self) -> String {
        let from = self.covered + 1;
        match self.needed.max(self.wanted.last_lsn) {
            last if last > from => format!("log from LSN {from} to at most {last}"),
            0 => format!("log from LSN {from}"),
            _ => format!("log at LSN {from}"),
        }
    }

    fn lost(&self, why: &str) -> Refusal {
        let stripe = self.stripe.stripe;
        let why = format!("no copy on stripe {stripe} has it: {why}");
        let advice = "Bring back the units' directories, or restore from an archive; it is looked for again by itself";
        Refusal::new(Code::Lost, self.range(), why)
            .advice(advice)
            .at(self.covered + 1)
    }

    /// Why somebody waits for this stripe, once all of its units were asked in vain.
    pub(super) fn waits_for(&self) -> Option<Refusal> {
        if self.has_ended() || self.covered >= self.needed {
            return None;
        }
        let Verdict::Waits(why) = self.judge() else {
            return None;
        };
        let why = format!("stripe {}: {why}", self.stripe.stripe);
        let advice = "Start these units, or the network to them; it goes on by itself";
        let refusal = Refusal::new(Code::Unavailable, self.range(), why);
        Some(refusal.advice(advice).at(self.covered + 1))
    }

    fn absorb(&mut self, batch: v1::ScanBatch) -> Result<(), Refusal> {
        use v1::scan_item::Item as I;
        let before = self.covered;
        for item in batch.items {
            match item.item {
                Some(I::Frame(frame)) => self.absorb_frame(frame)?,
                Some(I::Skip(skip)) => self.absorb_skip(skip)?,
                Some(I::ProgressThroughLsn(lsn)) => self.covered = self.covered.max(lsn),
                None => {}
            }
        }
        if self.covered > before {
            (self.late, self.failures) = (None, 0);
            self.verdicts.clear();
        }
        Ok(())
    }

    fn absorb_frame(&mut self, scanned: v1::ScannedFrame) -> Result<(), Refusal> {
        let v1::ScannedFrame {
            first_lsn,
            cut_seq,
            log_time_us,
            lane,
            frame,
        } = scanned;
        let what = || format!("frame at LSN {first_lsn} of stripe {}", self.stripe.stripe);
        let frame = Frame::parse(frame)
            .map_err(|e| Refusal::new(Code::Corrupt, what(), e.to_string()).at(first_lsn))?;
        let last_lsn = first_lsn + u64::from(frame.header.count) - 1;
        if frame.header.lane != lane {
            return Err(Refusal::new(
                Code::Corrupt,
                what(),
                "it belongs to another lane",
            ));
        }
        if last_lsn <= self.covered {
            return Ok(());
        }
        let count = last_lsn - self.covered.max(first_lsn - 1);
        self.buffered_bytes += frame.bytes().len();
        let frame = Some(FrameAt {
            first_lsn,
            cut_seq,
            log_time_us,
            frame,
        });
        self.items.push_back(Item {
            first_lsn,
            last_lsn,
            count,
            frame,
        });
        self.covered = last_lsn;
        Ok(())
    }

    fn absorb_skip(&mut self, skip: v1::Skip) -> Result<(), Refusal> {
        let v1::Skip {
            mut first_lsn,
            last_lsn,
            mut count,
        } = skip;
        if last_lsn < first_lsn || count > last_lsn - first_lsn + 1 {
            return Err(self.refusal("the unit skips more records than there is room for"));
        }
        if last_lsn <= self.covered {
            return Ok(());
        }
        if first_lsn <= self.covered {
            // It begins with the frame that the scan began inside of.
            count = count.saturating_sub(self.covered + 1 - first_lsn);
            first_lsn = self.covered + 1;
        }
        self.covered = last_lsn;
        let joins = self.items.len() >= SKIPS_KEPT;
        match self
            .items
            .back_mut()
            .filter(|last| joins && last.frame.is_none())
        {
            Some(last) => {
                last.last_lsn = last_lsn;
                last.count += count;
            }
            None => self.items.push_back(Item {
                first_lsn,
                last_lsn,
                count,
                frame: None,
            }),
        }
        Ok(())
    }

    /// Gives out what lies at or below `through`.
    pub(super) fn take(&mut self, through: Lsn, frames: &mut Vec<FrameAt>) -> Answered {
        let mut answered = Answered::default();
        while let Some(item) = self.items.front() {
            if item.last_lsn > through {
                if item.first_lsn <= through {
                    answered.straddling = item.count;
                }
                break;
            }
            answered.count += item.count;
            if let Some(frame) = self.items.pop_front().and_then(|item| item.frame) {
                self.buffered_bytes -= frame.frame.bytes().len();
                frames.push(frame);
            }
        }
        answered
    }
}
