//! Stamps that were lost, or never heard: which LSNs they are about, and what peers say of them (LOG-U6).

use std::collections::BTreeMap;
use std::ops::Range;

use dfs_wire::frame::{chain_halves, chain_of};
use dfs_wire::v1;

use crate::unit::lane::{Lane, Mends, Want};
use crate::unit::note::{Note, Stamp, StampedRun};
use crate::unit::state::{Peer, Unit};

/// Runs in one answer: about 64 bytes each.
const RUNS_GIVEN_MAX: usize = 4096;
/// Parts of lanes looked for at a time; the others when these are found.
const WANTS_MAX: usize = 64;

/// LSNs of which this unit does not know what lies on it, and its stripes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) lsns: Range<u64>,
    pub(crate) stripes: Vec<u64>,
    /// Only this stripe is meant, which is copied here.
    pub(crate) copied: Option<u64>,
}

/// What one peer said of one stripe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) runs: Vec<v1::StampedRun>,
    pub(crate) known_until_lsn: u64,
}

impl Unit {
    /// What is missing of lanes that others hold too.
    pub(crate) fn wants(&self) -> Vec<Want> {
        if !self.is_based() {
            return Vec::new();
        }
        let behind = self.lanes.iter().filter(|(_, lane)| lane.is_behind());
        let shared = behind.filter(|(_, lane)| {
            lane.stripe
                .is_some_and(|stripe| !self.peers(stripe).is_empty())
        });
        let wants = shared.flat_map(|(id, lane)| lane.wants(*id));
        wants.take(WANTS_MAX).collect()
    }

    /// Who may have what a lane lacks.
    pub(crate) fn peers_of_lane(&self, lane: u64) -> Vec<Peer> {
        let stripe = self.lane(lane).and_then(|lane| lane.stripe);
        stripe.map_or(Vec::new(), |stripe| self.peers(stripe).to_vec())
    }

    /// (lanes, records) of which less is held than was cut.
    pub(crate) fn behind(&self) -> (u64, u64) {
        let behind = self.lanes.values().map(|lane| lane.records_behind());
        behind
            .filter(|records| *records > 0)
            .fold((0, 0), |(lanes, all), records| (lanes + 1, all + records))
    }

    /// Where a fetched frame is to be written.
    pub(crate) fn mends(&self, frame: &dfs_wire::frame::Frame) -> Mends {
        let lane = self.lanes.get(&frame.header.lane);
        lane.map_or(Mends::Nothing, |lane| lane.mends(frame))
    }

    /// LOG-I3: a frame in the place of a damaged one is durable.
    pub(crate) fn mended(&mut self, frame: &dfs_wire::frame::Frame, position: u64) -> bool {
        let id = frame.header.lane;
        let Some(lane) = self.lanes.get_mut(&id) else {
            return false;
        };
        let mended = lane.mended(frame, position);
        self.to_report.insert(id);
        self.note_waiting(id);
        mended
    }

    /// Lanes that were told to be damaged and are whole: they count again from now on.
    pub(super) fn take_whole(&mut self) -> Vec<u64> {
        let whole = self.told_bad.iter().copied();
        let is_whole = |id: &u64| {
            let lane = self.lanes.get(id);
            lane.is_none_or(|lane| lane.bad_ranges().is_empty())
        };
        let whole: Vec<u64> = whole.filter(is_whole).collect();
        whole.iter().for_each(|id| {
            self.told_bad.remove(id);
        });
        whole
    }

    /// Marks frames that lie in a damaged part of the stream. Says how many.
    pub(crate) fn forget_positions(&mut self, positions: &Range<u64>) -> u64 {
        let mut found = 0;
        for lane in self.lanes.values_mut() {
            for held in lane.frames_at(positions) {
                lane.forget(held.first_idx()..held.end_idx());
                self.wholes.torn(lane.stripe);
                found += 1;
            }
        }
        found
    }

    /// LSNs whose stamps are missing, of stripes that others hold too.
    pub(crate) fn unknown(&self) -> Vec<Unknown> {
        if !self.is_based() {
            return Vec::new();
        }
        let copies = self.unknown_copies().take(WANTS_MAX);
        self.unknown_here().into_iter().chain(copies).collect()
    }

    fn unknown_here(&self) -> Option<Unknown> {
        let first_lsn = self.stripes.values().map(|stripe| stripe.first_lsn).min()?;
        let lsns = self
            .runs
            .first_uncovered(first_lsn.max(self.trim_lsn).max(1)..self.heard.next_lsn)?;
        let there = self.stripes.iter();
        let there = there.filter(|(_, stripe)| stripe.may_hold(&lsns));
        let stripes: Vec<u64> = there.map(|(id, _)| *id).collect();
        let shared = |id: &u64| !self.peers(*id).is_empty() || self.is_set_aside(*id, &lsns);
        stripes.iter().all(shared).then_some(Unknown {
            lsns,
            stripes,
            copied: None,
        })
    }

    fn is_set_aside(&self, stripe: u64, lsns: &Range<u64>) -> bool {
        let waiting = self.set_aside.get(&stripe);
        waiting.is_some_and(|row| (row.from_lsn..row.to_lsn).contains(&lsns.start))
    }

    /// What the sequencer has set aside of a stripe. `None`: nothing at the first of these LSNs.
    pub(crate) fn given_set_aside(&self, stripe: u64, lsns: &Range<u64>) -> Option<Given> {
        let waiting = self.set_aside.get(&stripe)?;
        if !self.is_set_aside(stripe, lsns) {
            return None;
        }
        let beyond =
            |run: &&v1::StampedRun| run.first_lsn + (run.to_idx - run.from_idx) > lsns.start;
        Some(Given {
            runs: waiting.runs.iter().filter(beyond).copied().collect(),
            known_until_lsn: waiting.to_lsn.min(lsns.end),
        })
    }

    /// What this unit knows of a stripe, for another one. `None`: nothing at `from_lsn`.
    pub(crate) fn give_runs(&self, stripe: u64, lsns: &Range<u64>) -> Option<Given> {
        self.stripe(stripe)?;
        let covered = self.covered_until(stripe, lsns.start)?;
        let mut given = Given {
            runs: Vec::new(),
            known_until_lsn: covered.min(lsns.end).min(self.heard.next_lsn),
        };
        for run in self.runs_of(stripe).from(lsns.start) {
            if run.first_lsn >= given.known_until_lsn {
                break;
            }
            let lane = self.lane(run.lane);
            let Some(lane) = lane.filter(|lane| lane.stripe == Some(stripe)) else {
                continue;
            };
            let chain = lane.cut_chain(run.end_idx());
            let (Some(chain), true) = (chain, given.runs.len() < RUNS_GIVEN_MAX) else {
                given.known_until_lsn = run.first_lsn;
                break;
            };
            let (chain_high, chain_low) = chain_halves(chain);
            given.runs.push(v1::StampedRun {
                lane: run.lane,
                from_idx: run.from_idx,
                to_idx: run.end_idx(),
                first_lsn: run.first_lsn,
                cut_seq: run.cut_seq,
                log_time_us: run.log_time_us,
                chain_high,
                chain_low,
            });
        }
        (given.known_until_lsn > lsns.start).then_some(given)
    }

    /// Takes what peers said of all stripes, as far as own frames bear it out. Says whether any of it
    /// was of use.
    pub(crate) fn learn_given(&mut self, unknown: &Unknown, given: &[Given]) -> bool {
        let lsns = &unknown.lsns;
        let known = given.iter().map(|given| given.known_until_lsn);
        let mut until = known.min().unwrap_or(lsns.end).min(lsns.end);
        let mut runs: Vec<StampedRunOf> = given
            .iter()
            .flat_map(|given| &given.runs)
            .map(run_of)
            .collect();
        runs.sort_by_key(|(_, run)| run.first_lsn);
        let places = runs
            .iter()
            .map(|(_, run)| (run.lane, run.first_lsn, run.from_idx));
        self.trim_as_given(unknown, &places.collect::<Vec<_>>(), until);
        // The first run may begin below: it goes through the trim.
        let from = runs.first().map_or(lsns.start, |(_, run)| run.first_lsn);
        let from = from.min(lsns.start);
        let mut end_lsn = from;
        let mut borne_out = Vec::new();
        for (place, run) in runs {
            if run.first_lsn >= until {
                break;
            }
            let fits = run.to_idx > run.from_idx && run.first_lsn >= end_lsn;
            let held = self.lanes.get(&run.lane);
            let own = held.and_then(|lane| lane.cut_chain(run.to_idx));
            if !fits || own != Some(run.chain) || end_of(&run) > lsns.end {
                until = run.first_lsn.max(end_lsn);
                break;
            }
            end_lsn = end_of(&run);
            borne_out.push((place, run));
        }
        until = until.max(end_lsn);
        if until <= lsns.start {
            return false;
        }
        self.note_given(unknown, until, borne_out);
        self.trim(self.trim_lsn); // a lane's place may be known only now
        true
    }

    /// Where each record that was cut of each own lane has its LSN, here or in what the sequencer has set
    /// aside, no other LSN lies here: what all of a stripe forgot at once, because it lay elsewhere, is known
    /// all the same. Says whether it is so.
    pub(crate) fn rest_lies_elsewhere(&mut self, unknown: &Unknown) -> bool {
        let is_told = self.is_based() && unknown.lsns.end <= self.heard.next_lsn;
        if unknown.copied.is_some() || !is_told {
            return false;
        }
        let aside = self.borne_out_aside(unknown);
        let all_stamped = self.are_stamped(&unknown.stripes, &aside);
        if all_stamped {
            self.note_given(unknown, unknown.lsns.end, aside);
        }
        all_stamped
    }

    /// Runs of these LSNs that the sequencer has set aside, as far as own frames bear them out; in order.
    fn borne_out_aside(&self, unknown: &Unknown) -> Vec<StampedRunOf> {
        let rows = unknown
            .stripes
            .iter()
            .filter_map(|stripe| self.set_aside.get(stripe));
        let is_own = |(_, run): &StampedRunOf| {
            let held = self.lanes.get(&run.lane);
            let chain = held.and_then(|lane| lane.cut_chain(run.to_idx));
            let fits = run.first_lsn >= unknown.lsns.start && end_of(run) <= unknown.lsns.end;
            fits && run.to_idx > run.from_idx && chain == Some(run.chain)
        };
        let runs = rows.flat_map(|row| &row.runs).map(run_of);
        let mut runs: Vec<StampedRunOf> = runs.filter(is_own).collect();
        runs.sort_by_key(|(_, run)| run.first_lsn);
        runs
    }

    /// Each cut record of each lane of these stripes, and of lanes whose stripe is not known.
    fn are_stamped(&self, stripes: &[u64], aside: &[StampedRunOf]) -> bool {
        let concerned = |lane: &Lane| lane.stripe.is_none_or(|stripe| stripes.contains(&stripe));
        let lanes = self.lanes.iter().filter(|(_, lane)| concerned(lane));
        let begin = |(id, lane): (&u64, &Lane)| (*id, (lane.begin_idx(), lane.cut_idx()));
        let mut reached: BTreeMap<u64, (u64, u64)> = lanes.map(begin).collect();
        let here = self.runs.from(0).iter();
        let here = here.map(|run| (run.lane, run.from_idx, run.end_idx()));
        let aside = aside
            .iter()
            .map(|(_, run)| (run.lane, run.from_idx, run.to_idx));
        let mut parts: Vec<(u64, u64, u64)> = here.chain(aside).collect();
        parts.sort_unstable();
        for (lane, from_idx, to_idx) in parts {
            if let Some((idx, _)) = reached.get_mut(&lane).filter(|(idx, _)| from_idx <= *idx) {
                *idx = (*idx).max(to_idx);
            }
        }
        reached.values().all(|(idx, cut_idx)| idx >= cut_idx)
    }

    /// One stamp for each cut, so that they are found again at open.
    fn note_given(&mut self, unknown: &Unknown, until: u64, runs: Vec<StampedRunOf>) {
        let mut stamps: Vec<Stamp> = Vec::new();
        let from = unknown.lsns.start;
        let mut known_from_lsn = from;
        for ((cut_seq, log_time_us), run) in runs {
            match stamps.last_mut().filter(|last| last.cut_seq == cut_seq) {
                Some(last) => {
                    last.next_lsn = end_of(&run);
                    last.runs.push(run);
                }
                None => stamps.push(Stamp {
                    cut_seq,
                    raft_index: 0,
                    log_time_us,
                    known_from_lsn,
                    next_lsn: end_of(&run),
                    previous_cut_seq: 0,
                    runs: vec![run],
                }),
            }
            known_from_lsn = end_of(&run);
        }
        if let Some(last) = stamps.last_mut() {
            last.next_lsn = until;
        } else {
            stamps.push(Stamp {
                cut_seq: 0,
                raft_index: 0,
                log_time_us: 0,
                known_from_lsn: from,
                next_lsn: until,
                previous_cut_seq: 0,
                runs: Vec::new(),
            });
        }
        for stamp in stamps {
            let note = match unknown.copied {
                Some(stripe) => {
                    self.cover_copied(stripe, &stamp);
                    Note::Copied(stripe, stamp)
                }
                None => {
                    self.cover(&stamp);
                    Note::Stamp(stamp)
                }
            };
            self.notes.push(note);
        }
    }
}

/// (cut_seq, log time), and the run.
type StampedRunOf = ((u64, u64), StampedRun);

fn run_of(run: &v1::StampedRun) -> StampedRunOf {
    let stamped = StampedRun {
        lane: run.lane,
        from_idx: run.from_idx,
        to_idx: run.to_idx,
        first_lsn: run.first_lsn,
        chain: chain_of(run.chain_high, run.chain_low),
    };
    ((run.cut_seq, run.log_time_us), stamped)
}

fn end_of(run: &StampedRun) -> u64 {
    run.first_lsn + (run.to_idx - run.from_idx)
}
