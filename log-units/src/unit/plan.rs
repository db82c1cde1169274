//! What a scan may answer next: frames to fetch, records to skip, and where it has to stop and why.

use std::ops::Range;

use dfs_wire::{Code, Refusal, v1};

use crate::unit::lane::{Held, Lane};
use crate::unit::runs::Run;
use crate::unit::state::Unit;

/// Frames looked at while the state is locked: bounds the time that appends wait for a scan.
const FRAMES_PER_PLAN_MAX: usize = 2048;

/// What a reader asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) stripe: u64,
    /// `unit::lane::tag_filter` of the tags; 0 when every frame is wanted.
    pub(crate) tag_filter: u64,
    pub(crate) except_lanes: Vec<u64>,
    /// 0: no end.
    pub(crate) last_lsn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Frame(FrameStep),
    Skip(v1::Skip),
}

/// A frame that may be wanted, whose bytes lie in memory or on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameStep {
    pub(crate) lane: u64,
    pub(crate) held: Held,
    pub(crate) first_lsn: u64,
    pub(crate) cut_seq: u64,
    pub(crate) log_time_us: u64,
    /// LSNs of the frame that lie in the range asked for.
    pub(crate) asked: (u64, u64),
}

/// Why a plan ends where it does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// Enough for one batch.
    Batch,
    /// Everything cut so far was answered.
    End,
    /// `last_lsn` was reached.
    Done,
    /// A frame that was cut has not come here yet.
    Lag {
        lane: u64,
        idx: u64,
    },
    Refused(Refusal),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Everything of the stripe below is in `steps` or was answered before.
    pub(crate) cursor: u64,
    pub(crate) stop: Stop,
}

struct Planner<'a> {
    unit: &'a Unit,
    question: &'a Question,
    steps: Vec<Step>,
    cursor: u64,
    bytes_left: i64,
    frames_left: usize,
}

impl Unit {
    /// Plans answers from `cursor` on, up to about `max_bytes`.
    pub(crate) fn plan(&self, question: &Question, cursor: u64, max_bytes: u64) -> Plan {
        let mut planner = Planner {
            unit: self,
            question,
            steps: Vec::new(),
            cursor,
            bytes_left: max_bytes.min(i64::MAX as u64) as i64,
            frames_left: FRAMES_PER_PLAN_MAX,
        };
        let stop = planner.run();
        Plan {
            steps: planner.steps,
            cursor: planner.cursor,
            stop,
        }
    }
}

impl Planner<'_> {
    fn run(&mut self) -> Stop {
        if !self.unit.is_based() {
            return Stop::Refused(refused(
                Code::Unavailable,
                "has not heard from the sequencer yet",
            ));
        }
        let Some(stripe) = self.unit.stripe(self.question.stripe) else {
            let why = format!("does not know stripe {}", self.question.stripe);
            return Stop::Refused(refused(Code::NotYet, &why));
        };
        let next_lsn = self.unit.heard().next_lsn;
        let last = self.question.last_lsn;
        let asked_end = if last == 0 {
            u64::MAX
        } else {
            last.saturating_add(1)
        };
        self.cursor = self
            .cursor
            .max(stripe.first_lsn.min(next_lsn).min(asked_end));
        if self.cursor < self.unit.trim_lsn() {
            let what = format!("cannot read the log at LSN {}", self.cursor);
            return Stop::Refused(self.unit.trimmed_refusal(&what));
        }
        loop {
            if self.cursor >= asked_end {
                return Stop::Done;
            }
            if self.cursor >= next_lsn {
                return Stop::End;
            }
            let covered = self.unit.covered_until(self.question.stripe, self.cursor);
            let Some(covered) = covered else {
                let why = format!("has no stamps of LSN {}", self.cursor);
                return Stop::Refused(refused(Code::Absent, &why));
            };
            let limit = covered.min(asked_end).min(next_lsn);
            for run in self.unit.runs_of(self.question.stripe).from(self.cursor) {
                if run.first_lsn >= limit {
                    break;
                }
                if let Err(stop) = self.run_of(run, limit) {
                    return stop;
                }
            }
            self.cursor = limit;
        }
    }

    /// Answers one run, from the cursor to its end or `limit`.
    fn run_of(&mut self, run: &Run, limit: u64) -> Result<(), Stop> {
        let first = self.cursor.max(run.first_lsn);
        let end = run.end_lsn().min(limit);
        let Some(lane) = self.unit.lane(run.lane) else {
            return Err(corrupt(run, 0..0));
        };
        match lane.stripe {
            Some(stripe) if stripe != self.question.stripe => return Ok(()),
            Some(_) => {}
            None => return Err(corrupt(run, run.from_idx..run.end_idx())),
        }
        self.cursor = first;
        if self.question.except_lanes.contains(&run.lane) {
            self.skip(first, end);
            return Ok(());
        }
        while self.cursor < end {
            self.one_frame(run, lane, end)?;
        }
        Ok(())
    }

    fn one_frame(&mut self, run: &Run, lane: &Lane, end: u64) -> Result<(), Stop> {
        if self.bytes_left <= 0 || self.frames_left == 0 {
            return Err(Stop::Batch);
        }
        let idx = run.from_idx + (self.cursor - run.first_lsn);
        if let Some(bad) = lane.bad_range(idx) {
            return Err(corrupt(run, bad));
        }
        if idx >= lane.agreed_idx() {
            let missing = idx..lane.missing_until();
            let stop = if missing.is_empty() {
                lag(run.lane, idx)
            } else {
                corrupt(run, missing)
            };
            return Err(stop);
        }
        let held = lane
            .frame_holding(idx)
            .filter(|held| held.first_idx() >= run.from_idx);
        let Some(held) = held else {
            return Err(corrupt(run, idx..idx + 1));
        };
        let first_lsn = run.first_lsn + (held.first_idx() - run.from_idx);
        let frame_end = (first_lsn + u64::from(held.count())).min(end);
        self.frames_left -= 1;
        let filter = self.question.tag_filter;
        if filter != 0 && !held.may_have(filter) {
            self.skip(self.cursor, frame_end);
            return Ok(());
        }
        self.steps.push(Step::Frame(FrameStep {
            lane: run.lane,
            held: *held,
            first_lsn,
            cut_seq: run.cut_seq,
            log_time_us: run.log_time_us,
            asked: (self.cursor, frame_end),
        }));
        self.bytes_left -= i64::from(held.len());
        self.cursor = frame_end;
        Ok(())
    }

    /// LOG-R2: counts only what lies on the stripe, and in the range asked for.
    fn skip(&mut self, first: u64, end: u64) {
        push_skip(&mut self.steps, first, end);
        self.cursor = end;
    }
}

/// Adds LSNs [first, end) to the skip at the end of `steps`, or begins one.
fn push_skip(steps: &mut Vec<Step>, first: u64, end: u64) {
    if let Some(Step::Skip(skip)) = steps.last_mut() {
        join_skip(skip, first, end);
    } else {
        steps.push(Step::Skip(skip_of(first, end)));
    }
}

pub(crate) fn skip_of(first: u64, end: u64) -> v1::Skip {
    v1::Skip {
        first_lsn: first,
        last_lsn: end - 1,
        count: end - first,
    }
}

pub(crate) fn join_skip(skip: &mut v1::Skip, first: u64, end: u64) {
    skip.last_lsn = end - 1;
    skip.count += end - first;
}

fn lag(lane: u64, idx: u64) -> Stop {
    Stop::Lag { lane, idx }
}

fn refused(code: Code, why: &str) -> Refusal {
    Refusal::new(code, "scan", format!("this unit {why}"))
}

/// LOG-U7: never "not found".
pub(crate) fn corrupt_refusal(lane: u64, range: Range<u64>, lsn: u64) -> Refusal {
    let why = format!(
        "lane {lane} is damaged here from idx {} to {}",
        range.start, range.end
    );
    Refusal::new(Code::Corrupt, format!("scan at LSN {lsn}"), why).at(lsn)
}

fn corrupt(run: &Run, range: Range<u64>) -> Stop {
    Stop::Refused(corrupt_refusal(run.lane, range, run.first_lsn))
}
