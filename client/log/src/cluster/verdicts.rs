//! What each unit of a stripe said of the LSN that comes next: LOST, or who is merely away (LOG-R3, LOG-U7). Pure.
use std::collections::BTreeMap;
use std::time::Duration;

use dfs_wire::v1::{UnitRef, UnitState};
use dfs_wire::{Code, Refusal};
use tokio::time::Instant;

/// Every unit must say so often that it does not have a place: what is being written just now may look so once.
const TIMES: u32 = 3;
/// A unit that lags gets from the appender what it lacks, unless the appender is gone: its lanes are sealed after 10 s.
const LAGS_MAX: Duration = Duration::from_secs(15);
/// A wait that is over sooner is latency, and nobody is told of it.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Since the last progress.
#[derive(Default)]
pub(super) struct Verdicts {
    units: BTreeMap<u64, Said>,
    since: Option<Instant>,
}

struct Said {
    last: Refusal,
    /// Damaged, or not among what it holds.
    without: u32,
    lags_since: Option<Instant>,
}

/// What all of them together mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Not every unit was asked yet, or only for a moment.
    Open,
    /// Somebody who may have it does not answer for it now.
    Waits(String),
    /// All copies were asked, and none has it.
    Lost(String),
}

impl Verdicts {
    pub(super) fn clear(&mut self) {
        self.units.clear();
        self.since = None;
    }

    /// One unit could not serve.
    pub(super) fn note(&mut self, unit_id: u64, refusal: &Refusal, now: Instant) {
        self.since.get_or_insert(now);
        let said = self.units.entry(unit_id).or_insert_with(|| Said {
            last: refusal.clone(),
            without: 0,
            lags_since: None,
        });
        match refusal.code() {
            Code::Corrupt | Code::Lost | Code::Absent => said.without += 1,
            Code::NotYet => {
                said.lags_since.get_or_insert(now);
            }
            // It was away; whether it has the place is not known any better.
            _ => said.lags_since = None,
        }
        said.last = refusal.clone();
    }

    /// `units`: the stripe's, as last heard from the sequencer.
    pub(super) fn judge(&self, units: &[UnitRef], now: Instant) -> Verdict {
        let Some(since) = self.since else {
            return Verdict::Open;
        };
        let said = |unit: &UnitRef| self.units.get(&unit.unit_id);
        if units.iter().any(|unit| said(unit).is_none()) {
            return Verdict::Open;
        }
        let all = || {
            let told = |unit: &UnitRef| said(unit).map(|said| said.tell(unit));
            let told: Vec<String> = units.iter().filter_map(told).collect();
            told.join("; ")
        };
        let without = |unit: &UnitRef| said(unit).is_some_and(|said| said.is_without(unit, now));
        if units.iter().all(without) {
            return Verdict::Lost(all());
        }
        if now.saturating_duration_since(since) < TOLD_AFTER {
            return Verdict::Open;
        }
        Verdict::Waits(all())
    }
}

impl Said {
    /// The Dead count for nothing (LOG-D1), until the same unit is there again.
    fn is_without(&self, unit: &UnitRef, now: Instant) -> bool {
        let lags = self
            .lags_since
            .is_some_and(|since| now.saturating_duration_since(since) >= LAGS_MAX);
        self.without >= TIMES || lags || unit.state() == UnitState::Dead
    }

    fn tell(&self, unit: &UnitRef) -> String {
        let id = unit.unit_id;
        match unit.state() {
            UnitState::Dead => format!("unit {id} is Dead"),
            _ => format!("unit {id}: {}", self.last.get().why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, Verdicts};
    use dfs_env::Env;
    use dfs_wire::v1::{UnitRef, UnitState};
    use dfs_wire::{Code, Refusal};
    use std::time::Duration;

    fn unit(unit_id: u64, state: UnitState) -> UnitRef {
        UnitRef {
            unit_id,
            state: state as i32,
            ..UnitRef::default()
        }
    }

    fn refusal(code: Code) -> Refusal {
        Refusal::new(code, "scan", "why")
    }

    #[test]
    fn lost_needs_the_word_of_every_copy() {
        let now = Env::real().now();
        let later = now + Duration::from_secs(2);
        let units = [unit(1, UnitState::Active), unit(2, UnitState::Active)];
        let mut said = Verdicts::default();
        assert_eq!(said.judge(&units, later), Verdict::Open);
        for _ in 0..3 {
            said.note(1, &refusal(Code::Corrupt), now);
        }
        assert_eq!(said.judge(&units, later), Verdict::Open, "2 was not asked");
        said.note(2, &refusal(Code::Unavailable), now);
        assert_eq!(said.judge(&units, now), Verdict::Open, "only for a moment");
        let waits = said.judge(&units, later);
        assert_eq!(waits, Verdict::Waits("unit 1: why; unit 2: why".into()));
        let dead = [unit(1, UnitState::Active), unit(2, UnitState::Dead)];
        let lost = said.judge(&dead, later);
        assert_eq!(lost, Verdict::Lost("unit 1: why; unit 2 is Dead".into()));
        for _ in 0..3 {
            said.note(2, &refusal(Code::Absent), now);
        }
        assert!(matches!(said.judge(&units, now), Verdict::Lost(_)));
        said.clear();
        assert_eq!(said.judge(&units, later), Verdict::Open);
    }

    #[test]
    fn a_copy_that_only_lags_is_given_the_time_of_its_appender() {
        let now = Env::real().now();
        let units = [unit(1, UnitState::Active)];
        let mut said = Verdicts::default();
        said.note(1, &refusal(Code::NotYet), now);
        let soon = now + Duration::from_secs(14);
        assert!(matches!(said.judge(&units, soon), Verdict::Waits(_)));
        let late = now + Duration::from_secs(16);
        assert!(matches!(said.judge(&units, late), Verdict::Lost(_)));
        said.note(1, &refusal(Code::Unavailable), late);
        said.note(1, &refusal(Code::NotYet), late);
        assert!(matches!(said.judge(&units, late), Verdict::Waits(_)));
    }
}
