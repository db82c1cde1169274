//! What units do: LOG-U1 to LOG-U6, and their words to the leader.

use crate::log::LogModel;
use crate::log::content::Content;
use crate::log::mutant::Mutant;
use crate::log::scenario::LANES;
use crate::log::state::{Phase, Report, State};

impl LogModel {
    /// LOG-U1: the next frame of a lane, from wherever it was delayed; a gap, or a frame whose chain
    /// does not continue what is held, is refused. Frames arrive at any time, also after a seal.
    pub(crate) fn stage(&self, state: &mut State, unit: usize, lane: usize, clone: bool) -> bool {
        let source = match clone {
            true => state.lanes[lane].cloned,
            false => state.lanes[lane].content,
        };
        if !state.is_on(&self.scenario, unit, lane) || !state.units[unit].is_up() {
            return false;
        }
        let held = &mut state.units[unit].held[lane];
        let Some(next) = source.at(held.len()).filter(|_| source.starts_with(*held)) else {
            return false;
        };
        *held = held.and(next);
        true
    }

    /// LOG-U2, LOG-U6: one fdatasync covers all that is staged, frames and stamps.
    pub(crate) fn fsync(&self, state: &mut State, unit: usize) -> bool {
        let unit = &mut state.units[unit];
        let lengths = unit.held.map(Content::len);
        let changes = unit.synced != lengths || unit.stamped != unit.heard;
        unit.synced = lengths;
        for (lossy, synced) in unit.lossy.iter_mut().zip(lengths) {
            if synced >= *lossy {
                *lossy = 0;
            }
        }
        unit.told &= unit.is_lossy();
        unit.stamped = unit.heard;
        unit.is_up() && changes
    }

    /// Durable after an fdatasync, or Hello at the opening of a stream: the two say the same here, all
    /// frame ends above the lane's cut. A report that is still on its way is lost, or joined, by this.
    pub(crate) fn report(&self, state: &mut State, unit: usize) -> bool {
        let report = self.said_by(state, unit);
        let to = &mut state.units[unit];
        if !to.is_up() || to.known == report || to.sent == Some(report) {
            return false;
        }
        to.sent = Some(report);
        self.scenario.late_reports || self.deliver(state, unit)
    }

    fn said_by(&self, state: &State, unit: usize) -> Report {
        let from = &state.units[unit];
        let synced_alone = !self.is(Mutant::DurableBeforeFsync) && !from.page_cache_shown;
        let mut report = Report::default();
        for (lane, end) in report.ends.iter_mut().enumerate() {
            let held = match synced_alone {
                true => from.durable(lane),
                false => from.held[lane],
            };
            *end = self.worth_knowing(state, lane, held);
        }
        report.stamped = self.stamped_through(state, unit);
        report
    }

    /// Ends at or below the cut decide nothing any more: leaving them out keeps states few.
    pub(crate) fn worth_knowing(&self, state: &State, lane: usize, held: Content) -> Content {
        let of = &state.lanes[lane];
        let passed = held.len() <= of.cut.len() && !self.is(Mutant::MaxMergeMissing);
        let sealed = of.phase == Phase::Sealed && !self.is(Mutant::SealNotFinal);
        match passed || sealed {
            true => Content::EMPTY,
            false => held,
        }
    }

    /// LOG-U6: through which cut a unit has the order on disk, and the frames too.
    fn stamped_through(&self, state: &State, unit: usize) -> u8 {
        let from = &state.units[unit];
        let stamps = match self.is(Mutant::ForgetBeforeSync) {
            true => from.heard,
            false => from.stamped,
        };
        if self.is(Mutant::StampsWithoutFrames) {
            return stamps;
        }
        let complete = |cut: u8| {
            (0..LANES)
                .filter(|lane| state.is_on(&self.scenario, unit, *lane))
                .all(|lane| {
                    let of = state.lanes[lane].cut.prefix(state.length_after(lane, cut));
                    from.durable(lane).starts_with(of)
                })
        };
        (1..=stamps)
            .take_while(|cut| complete(*cut))
            .last()
            .unwrap_or(0)
    }

    /// LOG-D1: a report replaces what was known of the unit before.
    pub(crate) fn deliver(&self, state: &mut State, unit: usize) -> bool {
        let Some(mut report) = state.units[unit].sent.take() else {
            return false;
        };
        for lane in 0..LANES {
            let known = state.units[unit].known.ends[lane];
            if self.is(Mutant::HelloDoesNotReplace) && known.len() > report.ends[lane].len() {
                report.ends[lane] = known;
            }
            report.ends[lane] = self.worth_knowing(state, lane, report.ends[lane]);
        }
        let unnoticed = self.is(Mutant::UnitForgets)
            || self.is(Mutant::LossyByLength) && self.has_all_cut(state, unit);
        let to = &mut state.units[unit];
        if unnoticed {
            to.lossy = [0; LANES];
        }
        to.told = to.is_lossy();
        to.known = report;
        true
    }

    fn has_all_cut(&self, state: &State, unit: usize) -> bool {
        (0..LANES)
            .filter(|lane| state.is_on(&self.scenario, unit, *lane))
            .all(|lane| {
                state.units[unit]
                    .durable(lane)
                    .starts_with(state.lanes[lane].cut)
            })
    }

    /// A unit hears the next applied cut (LOG-D4), as long as Raft still holds it.
    pub(crate) fn hear(&self, state: &mut State, unit: usize) -> bool {
        let (cut_seq, forgotten) = (state.cut_seq(), state.forgotten);
        let unit = &mut state.units[unit];
        let hears = unit.is_up() && unit.heard < cut_seq && unit.heard >= forgotten;
        unit.heard += u8::from(hears);
        hears
    }

    /// LOG-U1: what a cut says beyond what the unit holds comes from a peer, with the stamps; the peer
    /// gives what LOG-U4 lets it serve.
    pub(crate) fn fetch(&self, state: &mut State, unit: usize, from: usize) -> bool {
        let before = state.units[unit];
        if unit == from || !before.is_up() || !state.units[from].is_up() {
            return false;
        }
        for lane in 0..LANES {
            let both = [unit, from].map(|unit| state.is_on(&self.scenario, unit, lane));
            let told = before.heard.min(state.units[from].heard);
            let cut = state.lanes[lane].cut.prefix(state.length_after(lane, told));
            let peer = state.units[from].held[lane];
            let held = &mut state.units[unit].held[lane];
            if both == [true, true] && peer.starts_with(cut) && cut.starts_with(*held) {
                *held = cut;
            }
        }
        // The stamps of cuts that Raft has forgotten can come from nowhere else.
        if before.heard < state.forgotten {
            let stamped = state.units[from].stamped;
            state.units[unit].heard = before.heard.max(stamped);
        }
        state.units[unit] != before
    }

    /// LOG-U4: what disagrees with a cut is set aside, so that it can be fetched again.
    pub(crate) fn set_aside(&self, state: &mut State, unit: usize) -> bool {
        let before = state.units[unit];
        for lane in 0..LANES {
            let told = state.length_after(lane, before.heard);
            let cut = state.lanes[lane].cut.prefix(told);
            let held = before.held[lane];
            if !held.agrees_with(cut) {
                let good = held.shared_with(cut);
                let unit = &mut state.units[unit];
                unit.held[lane] = good;
                unit.synced[lane] = unit.synced[lane].min(good.len());
            }
        }
        before.is_up() && state.units[unit] != before
    }

    /// LOG-U4: the payload a unit answers for an LSN, if it answers.
    pub(crate) fn served(&self, state: &State, unit: usize, lsn: u8) -> Option<u8> {
        let from = &state.units[unit];
        let (lane, idx) = state.place_of(lsn)?;
        let cut = state.cut_of(lsn);
        if !from.is_up() || from.heard < cut || !state.is_on(&self.scenario, unit, lane) {
            return None;
        }
        let vouched = state.lanes[lane].cut.prefix(state.length_after(lane, cut));
        let agrees = from.held[lane].starts_with(vouched) || self.is(Mutant::ChainNotServed);
        from.held[lane].at(idx).filter(|_| agrees)
    }
}
