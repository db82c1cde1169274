//! What only a closed stripe waits for is set aside in its row, so that it holds back nobody else (LOG-U6).
use crate::order::command::StripeWaits;
use crate::order::{Order, Stripe};
use dfs_wire::v1;

/// Runs in all rows together, about 60 bytes each: with the cuts held, a Base stays below half of the
/// largest message. Nothing more is set aside past it. A closed stripe has what was held when it was
/// closed at most, and no more comes.
pub(crate) const WAITING_RUNS_MAX: usize = 65_536;

impl Order {
    pub(crate) fn waiting_runs(&self) -> usize {
        let rows = self.stripes.values().filter_map(|row| row.waiting.as_ref());
        rows.map(|waiting| waiting.runs.len()).sum()
    }

    /// Nobody has to be waited for: W have all of the closed stripe, or all that are not Dead.
    pub(crate) fn is_settled(&self, stripe: &Stripe) -> bool {
        let holds = |unit: &u64| stripe.locations.contains(unit);
        let part = stripe.units.iter().chain(&stripe.copies);
        let alive: Vec<&u64> = part.filter(|unit| self.is_alive(**unit)).collect();
        let holders = alive.iter().filter(|unit| holds(unit)).count();
        stripe.closed && (holders >= stripe.write_quorum as usize || holders == alive.len())
    }

    /// Whose runs of the cut are set aside when it is forgotten. A row that has begun goes on without a
    /// gap, so that it tells all of its stripe.
    pub(crate) fn rows_of(&self, cut: &v1::Cut, waits: &[StripeWaits]) -> Vec<u64> {
        let is_new = |id: &u64| {
            let mut waits = waits.iter();
            waits.any(|wait| wait.stripe == *id && wait.stamped_through < cut.cut_seq)
        };
        let goes_on = |row: &Stripe| row.waiting.is_some() && row.last_lsn >= cut.first_lsn;
        let rows = self.stripes.iter();
        let rows = rows.filter(|(id, row)| goes_on(row) || is_new(id));
        let rows = rows.filter(|(_, row)| !self.is_settled(row));
        rows.map(|(id, _)| *id).collect()
    }

    /// False: the cut stays. Nothing of an open stripe is ever set aside: it grows on.
    pub(super) fn set_aside(&mut self, cut: &v1::Cut, waits: &[StripeWaits]) -> bool {
        let rows = self.rows_of(cut, waits);
        if rows.is_empty() {
            return true;
        }
        let all_closed = rows.iter().all(|id| self.stripes[id].closed);
        if !all_closed || self.waiting_runs() + cut.lanes.len() > WAITING_RUNS_MAX {
            return false;
        }
        for id in rows {
            let (runs, to_lsn) = self.runs_on(id, cut);
            if let Some(row) = self.stripes.get_mut(&id) {
                let waiting = row.waiting.get_or_insert_with(|| v1::WaitingRuns {
                    stripe: id,
                    from_lsn: cut.first_lsn,
                    ..v1::WaitingRuns::default()
                });
                waiting.runs.extend(runs);
                waiting.to_lsn = to_lsn;
            }
        }
        true
    }

    /// Of a cut, on one stripe; and the LSN after the cut.
    fn runs_on(&self, stripe: u64, cut: &v1::Cut) -> (Vec<v1::StampedRun>, u64) {
        let mut next_lsn = cut.first_lsn;
        let mut runs = Vec::new();
        for part in &cut.lanes {
            let first_lsn = next_lsn;
            next_lsn += part.to_idx - part.from_idx;
            let lane = self.lanes.get(&part.lane);
            if lane.is_some_and(|lane| lane.stripe == stripe) {
                runs.push(v1::StampedRun {
                    lane: part.lane,
                    from_idx: part.from_idx,
                    to_idx: part.to_idx,
                    first_lsn,
                    cut_seq: cut.cut_seq,
                    log_time_us: cut.log_time_us,
                    chain_high: part.chain_high,
                    chain_low: part.chain_low,
                });
            }
        }
        (runs, next_lsn)
    }

    /// Rows that nobody has to be waited for any more, after units or locations have changed.
    pub(super) fn settle_waiting(&mut self) {
        let rows = self.stripes.iter().filter(|(_, row)| row.waiting.is_some());
        let settled = rows.filter(|(_, row)| self.is_settled(row));
        let settled: Vec<u64> = settled.map(|(id, _)| *id).collect();
        for id in settled {
            if let Some(row) = self.stripes.get_mut(&id) {
                row.waiting = None;
            }
        }
    }

    /// Trimmed records need no stamps; where a lane begins, the first run that is left says.
    pub(super) fn trim_waiting(&mut self, trim_lsn: u64) {
        for row in self.stripes.values_mut() {
            let Some(waiting) = &mut row.waiting else {
                continue;
            };
            let end = |run: &v1::StampedRun| run.first_lsn + (run.to_idx - run.from_idx);
            waiting.runs.retain(|run| end(run) > trim_lsn);
            waiting.from_lsn = waiting.from_lsn.max(trim_lsn);
            if waiting.to_lsn <= trim_lsn {
                row.waiting = None;
            }
        }
    }
}
