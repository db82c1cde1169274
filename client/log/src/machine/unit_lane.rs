//! One unit's part of a lane: what it was sent, what it says it has, and whether it is left alone for a while.
use std::time::Duration;

use dfs_wire::v1;

/// In flight before a unit has said what it takes.
const FIRST_WINDOW_BYTES: u64 = 1 << 20;
/// A unit that refused is asked again after this, doubling: it is about to hear of the lane.
const HOLD_MIN: Duration = Duration::from_millis(2);
/// At most this: a full disk that was emptied is noticed within it.
const HOLD_MAX: Duration = Duration::from_millis(200);
/// Gaps in a row below all that is kept until a unit is believed: one may be an echo.
const STRIKES_MAX: u32 = 8;
/// As many again while one that was given up is tried: its peers give it what it lacks, for some seconds.
const TRIAL_STRIKES_MAX: u32 = 32;
/// One that was given up is tried after this, doubling up to the second number (LOG-A3).
const TRIAL_AFTER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Away,
    Ready,
    /// It refused what was sent; nothing more is sent until the hold is over.
    Held,
    /// It missed more than is kept (LOG-A3), or has lost what it had.
    GivenUp,
}

#[derive(Debug)]
pub(super) struct UnitLane {
    pub(super) unit_id: u64,
    pub(super) link: Link,
    /// All three are frame ends: sent on this stream; staged; stored.
    pub(super) sent_idx: u64,
    pub(super) staged_idx: u64,
    pub(super) durable_idx: u64,
    pub(super) window_bytes: u64,
    pub(super) full: bool,
    holds: u32,
    strikes: u32,
    /// Given up, and sent to once more: whether it has caught up is not known yet.
    pub(super) on_trial: bool,
    trials: u32,
}

impl UnitLane {
    pub(super) fn new(unit_id: u64) -> UnitLane {
        UnitLane {
            unit_id,
            link: Link::Away,
            sent_idx: 0,
            staged_idx: 0,
            durable_idx: 0,
            window_bytes: FIRST_WINDOW_BYTES,
            full: false,
            holds: 0,
            strikes: 0,
            on_trial: false,
            trials: 0,
        }
    }

    pub(super) fn connected(&mut self, from: u64) {
        if self.link != Link::GivenUp {
            self.link = Link::Ready;
            (self.sent_idx, self.staged_idx) = (from, from);
        }
    }

    pub(super) fn disconnected(&mut self) {
        if self.link != Link::GivenUp {
            self.link = Link::Away;
        }
    }

    pub(super) fn resume(&mut self, from: u64) {
        if self.link == Link::Held {
            self.link = Link::Ready;
            self.sent_idx = from;
        }
    }

    pub(super) fn give_up(&mut self) {
        self.link = Link::GivenUp;
        self.on_trial = false;
    }

    /// LOG-A3: whether it has got from its peers what is not kept here any more.
    pub(super) fn try_again(&mut self) {
        if self.link == Link::GivenUp {
            self.link = Link::Away;
            (self.on_trial, self.trials) = (true, self.trials + 1);
            (self.holds, self.strikes) = (0, 0);
        }
    }

    /// How long it is left alone, if it was given up.
    pub(super) fn trial_after(&self) -> Option<Duration> {
        let doubled = TRIAL_AFTER.0 * (1 << self.trials.min(10));
        (self.link == Link::GivenUp).then(|| doubled.min(TRIAL_AFTER.1))
    }

    /// The lane ends at `final_length`: nothing beyond it is ever sent or awaited.
    pub(super) fn end_at(&mut self, final_length: u64) {
        for idx in [
            &mut self.sent_idx,
            &mut self.staged_idx,
            &mut self.durable_idx,
        ] {
            *idx = final_length.min(*idx);
        }
    }

    pub(super) fn hold(&self) -> Option<Duration> {
        let doubled = HOLD_MIN * (1 << self.holds.saturating_sub(1).min(10));
        (self.link == Link::Held).then(|| doubled.min(HOLD_MAX))
    }

    /// `staged`: what the credit says, as the start of a kept frame or the end of all.
    pub(super) fn credit(
        &mut self,
        credit: &v1::Credit,
        staged: u64,
        kept_from: u64,
        end_idx: u64,
    ) {
        let was_full = std::mem::replace(&mut self.full, credit.full);
        self.window_bytes = credit.window_bytes;
        self.durable_idx = self.durable_idx.max(credit.durable_idx.min(end_idx));
        if credit.gap {
            self.staged_idx = staged;
            self.strikes += u32::from(credit.staged_idx < kept_from);
        } else if staged > self.staged_idx {
            (self.holds, self.strikes) = (0, 0);
            if self.link != Link::GivenUp {
                (self.on_trial, self.trials) = (false, 0);
            }
            self.staged_idx = staged;
        }
        self.sent_idx = self.sent_idx.max(self.staged_idx);
        let waits = self.sent_idx > self.staged_idx;
        let strikes_max = match self.on_trial {
            true => TRIAL_STRIKES_MAX,
            false => STRIKES_MAX,
        };
        if self.strikes >= strikes_max {
            self.give_up();
        } else if credit.gap || credit.unknown_lane || (credit.full && waits) {
            self.refused();
        } else if self.link == Link::Held && (!waits || (was_full && !credit.full)) {
            self.link = Link::Ready;
            self.sent_idx = self.staged_idx;
        }
    }

    fn refused(&mut self) {
        if self.link == Link::Ready {
            self.link = Link::Held;
            self.holds += 1;
        }
    }
}
