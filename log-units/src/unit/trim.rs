//! Trim: records below an LSN are gone, and the files that hold nothing else may be released (LOG.md §8).

use dfs_wire::v1;
use dfs_wire::{Code, Refusal};
use std::collections::{BTreeMap, BTreeSet};

use crate::unit::lane::Lane;
use crate::unit::note::{BeginNote, Note, Stamp};
use crate::unit::runs::{Run, Runs};
use crate::unit::stamps::Unknown;
use crate::unit::state::Unit;

/// Between two places of the stream for which it is known what the stamps before them are about: 16
/// bytes of memory each.
const STAMPS_STEP_BYTES: u64 = 256 << 10;

/// A place of the stream, and what the stamps before it are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    position: u64,
    /// No stamp before it tells of this LSN or a later one.
    next_lsn: u64,
}

/// What is known of the LSNs from the trim on.
struct Front {
    /// Of each lane, the first run that ends at or above the trim.
    first_runs: BTreeMap<u64, Run>,
    /// All is known below.
    known_until: u64,
    /// Nothing lies there or above.
    end_lsn: u64,
}

impl Front {
    fn of(runs: &Runs, trim_lsn: u64, end_lsn: u64) -> Front {
        let mut first_runs = BTreeMap::new();
        for run in runs.from(trim_lsn) {
            first_runs.entry(run.lane).or_insert(*run);
        }
        let known_until = runs.covered_until(trim_lsn).unwrap_or(trim_lsn);
        Front {
            first_runs,
            known_until,
            end_lsn,
        }
    }

    /// Where a lane begins, if it is known what lies between the trim and there: always at the end of a
    /// cut, so that all units of a stripe begin at the same place, and can help each other.
    fn begins_at(&self, id: u64, lane: &Lane) -> Option<u64> {
        match self.first_runs.get(&id) {
            Some(run) if run.first_lsn < self.known_until => Some(run.from_idx),
            None if self.known_until >= self.end_lsn => Some(lane.cut_idx()),
            _ => None,
        }
    }
}

impl Unit {
    pub(crate) fn trim_lsn(&self) -> u64 {
        self.trim_lsn
    }

    /// Records below `trim_lsn` are gone. A lane whose place in the order is not known here yet follows
    /// when it is: asked again, with whatever LSN, this goes on.
    pub(crate) fn trim(&mut self, trim_lsn: u64) {
        self.trim_lsn = self.trim_lsn.max(trim_lsn.min(self.heard.next_lsn));
        if self.trim_lsn <= 1 {
            return;
        }
        let fronts = self.fronts();
        let ids: Vec<u64> = self.lanes.keys().copied().collect();
        for id in ids {
            let Some(lane) = self.lanes.get(&id) else {
                continue;
            };
            let front = fronts.get(&self.copied_of(lane));
            let Some(idx) = front.and_then(|front| front.begins_at(id, lane)) else {
                continue;
            };
            let chain = lane.begin_chain_at(idx);
            if let Some(lane) = self.lanes.get_mut(&id) {
                let agrees = lane.trim(idx, chain);
                self.after_check(id, agrees);
            }
        }
        self.runs.trim(self.trim_lsn);
        self.trim_copies();
        self.forget_lanes(|_, lane| lane.is_over());
    }

    /// By the copied stripe; of all stripes of its own under none.
    fn fronts(&self) -> BTreeMap<Option<u64>, Front> {
        let own = Front::of(&self.runs, self.trim_lsn, self.heard.next_lsn);
        let copies = self.copies.iter().filter_map(|(id, copied)| {
            let (_, last_lsn) = copied.bounds?;
            let front = Front::of(&copied.runs, self.trim_lsn, last_lsn + 1);
            Some((Some(*id), front))
        });
        copies.chain([(None, own)]).collect()
    }

    /// What peers said of the first LSNs from the trim on that are not known here: a lane of which this
    /// unit holds nothing there begins where theirs does, unless it has records between the trim and
    /// there. Only what leads to a cut is taken from them later (LOG-U4).
    pub(super) fn trim_as_given(
        &mut self,
        unknown: &Unknown,
        runs: &[(u64, u64, u64)],
        until: u64,
    ) {
        let begin = unknown.lsns.start;
        if begin < self.trim_lsn {
            return;
        }
        let copied = unknown.copied.and_then(|id| self.stripe(id)?.last_lsn);
        let end_lsn = copied.map_or(self.heard.next_lsn, |last| last + 1);
        let mut first = BTreeMap::new();
        for (lane, first_lsn, from_idx) in runs.iter().filter(|(_, lsn, _)| *lsn < until) {
            let known = first.entry(*lane).or_insert((*first_lsn, *from_idx));
            *known = (*known).min((*first_lsn, *from_idx));
        }
        let known = match unknown.copied {
            Some(id) => self.copies.get(&id).map(|copied| &copied.runs),
            None => Some(&self.runs),
        };
        let known = known.map_or(&[][..], |runs| runs.from(self.trim_lsn));
        let before = known.iter().filter(|run| run.first_lsn < begin);
        let before: BTreeSet<u64> = before.map(|run| run.lane).collect();
        let whole = until >= end_lsn;
        let meant = self.lanes.iter();
        let meant = meant.filter(|(_, lane)| self.copied_of(lane) == unknown.copied);
        let meant = meant.filter(|(id, _)| !before.contains(id));
        let ids: Vec<u64> = meant.map(|(id, _)| *id).collect();
        for id in ids {
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            let given = first.get(&id).map(|(_, from_idx)| *from_idx);
            let idx = given.or(whole.then_some(lane.cut_idx()));
            let behind = idx.filter(|idx| lane.lacks_before(*idx));
            if let Some(idx) = behind {
                let chain = lane.begin_chain_at(idx);
                let agrees = lane.trim(idx, chain);
                self.after_check(id, agrees);
            }
        }
    }

    /// All that was cut of them is trimmed. What is still found of them at open must not look damaged.
    pub(super) fn forget_lanes(&mut self, is_over: impl Fn(u64, &Lane) -> bool) {
        let over = self.lanes.iter().filter(|(id, lane)| is_over(**id, lane));
        let notes: Vec<Note> = over.map(|(id, lane)| end_note(*id, lane)).collect();
        self.notes.extend(notes);
        self.lanes.retain(|id, lane| !is_over(*id, lane));
        let lanes = &self.lanes;
        for ids in [
            &mut self.waiting,
            &mut self.to_report,
            &mut self.disagreed,
            &mut self.told_bad,
        ] {
            ids.retain(|id| lanes.contains_key(id));
        }
    }

    /// What the sequencer does not list any more was sealed and trimmed while this unit was away. The lane
    /// with the largest id is always listed, so a larger one than any listed is only not known there yet.
    pub(super) fn forget_unlisted(&mut self, base: &v1::Base) {
        let largest = base.lanes.iter().map(|lane| lane.lane).max().unwrap_or(0);
        let listed = |id: u64| {
            base.lanes
                .binary_search_by_key(&id, |lane| lane.lane)
                .is_ok()
        };
        let over =
            |id: u64, lane: &v1::LaneState| lane.lane == id && is_trimmed(lane, base.trim_lsn);
        self.forget_lanes(|id, _| {
            let trimmed = base.lanes.iter().any(|lane| over(id, lane));
            trimmed || (id < largest && !listed(id))
        });
    }

    /// LOG-I15: trimmed is an answer of its own.
    pub(crate) fn trimmed_refusal(&self, what: &str) -> Refusal {
        let trim_lsn = self.trim_lsn;
        let why = format!("the log begins at LSN {trim_lsn}");
        Refusal::new(Code::Trimmed, what, why).at(trim_lsn)
    }

    /// The stream has come to this place: at open, and at the begin of each round.
    pub(crate) fn passes(&mut self, position: u64) {
        let last = self.passed.last().map_or(0, |passed| passed.position);
        if position >= last + STAMPS_STEP_BYTES {
            let next_lsn = self.stamped_lsn;
            self.passed.push(Passed { position, next_lsn });
        }
    }

    /// A stamp lies in the stream, behind every place that was passed before.
    pub(crate) fn stamped(&mut self, stamp: &Stamp) {
        self.stamped_lsn = self.stamped_lsn.max(stamp.next_lsn);
    }

    /// No frame and no stamp below this place of the stream is needed. `end`: of the stream.
    pub(crate) fn needed_from(&self, end: u64) -> u64 {
        #[cfg(test)]
        if RELEASES_ALL.get() {
            return end;
        }
        let frames = self
            .lanes
            .values()
            .filter_map(|lane| lane.lowest_position());
        let old = self
            .passed
            .partition_point(|passed| passed.next_lsn <= self.trim_lsn);
        let stamps = old.checked_sub(1).and_then(|at| self.passed.get(at));
        let stamps = stamps.map_or(0, |passed| passed.position);
        frames.min().unwrap_or(end).min(stamps).min(end)
    }

    /// What has to be durable before anything below [`Unit::needed_from`] is released: where every lane
    /// begins, and how far this unit had stamped (LOG-U9).
    pub(crate) fn note_begins(&mut self) {
        for (id, lane) in &self.lanes {
            let begin_idx = lane.begin_idx();
            self.notes.push(Note::Begin(BeginNote {
                lane: *id,
                stripe: lane.stripe,
                begin_idx,
                chain: lane.begin_chain_at(begin_idx),
            }));
        }
        let Some(last) = self.last_synced else { return };
        self.notes.push(Note::Stamp(Stamp {
            cut_seq: last.cut_seq,
            raft_index: last.raft_index,
            log_time_us: 0,
            known_from_lsn: last.lsn + 1,
            next_lsn: last.lsn + 1,
            previous_cut_seq: 0,
            runs: Vec::new(),
        }));
    }

    /// The stream was released up to here.
    pub(crate) fn released(&mut self, start: u64) {
        self.passed.retain(|passed| passed.position >= start);
    }
}

/// Nothing of a lane counts that was ever staged.
fn end_note(id: u64, lane: &Lane) -> Note {
    Note::Begin(BeginNote {
        lane: id,
        stripe: lane.stripe,
        begin_idx: lane.staged_idx().max(lane.begin_idx()),
        chain: None,
    })
}

/// A sealed lane of which nothing is left.
pub(super) fn is_trimmed(lane: &v1::LaneState, trim_lsn: u64) -> bool {
    lane.sealed && lane.end_lsn > 0 && lane.end_lsn <= trim_lsn
}

#[cfg(test)]
thread_local! {
    /// The defect on purpose: everything is released that is not being written.
    pub(crate) static RELEASES_ALL: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
