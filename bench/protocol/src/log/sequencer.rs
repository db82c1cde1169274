//! What the leader proposes (LOG-D1 to LOG-D4) and what Raft applies (LOG.md §2).

use crate::log::LogModel;
use crate::log::content::Content;
use crate::log::mutant::Mutant;
use crate::log::scenario::LANES;
use crate::log::state::{Disk, Phase, Proposal, Report, State, Unit};

impl LogModel {
    /// LOG-D3: at most one cut in flight, and only if something advanced.
    pub(crate) fn propose(&self, state: &mut State) -> bool {
        if state.own.is_some() {
            return false;
        }
        let mut proposal = Proposal {
            forget_through: self.may_forget(state),
            ..Proposal::default()
        };
        for lane in 0..LANES {
            if state.lanes[lane].phase == Phase::Open || self.is(Mutant::SealNotFinal) {
                proposal.ends[lane] = self.candidate(state, lane);
            }
        }
        let advances = proposal.ends.iter().any(|end| !end.is_empty())
            || proposal.forget_through > state.forgotten;
        state.miscounted |= (0..LANES).any(|lane| self.miscounts(state, lane, proposal.ends[lane]));
        state.own = advances.then_some(proposal);
        advances
    }

    /// LOG-D2: the largest frame end that W units reported with the same chain.
    fn candidate(&self, state: &State, lane: usize) -> Content {
        if state.lanes[lane].phase == Phase::Unborn {
            return Content::EMPTY;
        }
        let cut = state.lanes[lane].cut;
        let counting = |unit: &&Unit| unit.disk != Disk::Dead;
        let known: Vec<Content> = state
            .units_of(&self.scenario, lane)
            .filter(counting)
            .map(|unit| unit.known.ends[lane])
            .collect();
        let longest = known.iter().map(|end| end.len()).max().unwrap_or(0);
        for length in (cut.len() + 1..=longest).rev() {
            let long: Vec<Content> = known
                .iter()
                .filter(|end| end.len() >= length)
                .copied()
                .collect();
            let agreeing = long.iter().find(|end| {
                let same = |other: &&Content| other.prefix(length) == end.prefix(length);
                let compared = match self.is(Mutant::ChainNotCompared) {
                    true => long.len(),
                    false => long.iter().filter(same).count(),
                };
                compared >= self.quorum()
            });
            if let Some(end) = agreeing {
                return end.prefix(length);
            }
        }
        Content::EMPTY
    }

    /// Whether fewer than W of those it counts on hold it still, as far as the leader could know.
    fn miscounts(&self, state: &State, lane: usize, end: Content) -> bool {
        let units = state.units_of(&self.scenario, lane);
        let holds = |unit: &&Unit| {
            let lost = unit.told && !unit.durable(lane).starts_with(end);
            unit.known.ends[lane].len() >= end.len() && !lost
        };
        !end.is_empty() && units.filter(holds).count() < self.quorum()
    }

    /// LOG-U6: a cut may go once W units of every stripe it touches say that they have stamped it.
    fn may_forget(&self, state: &State) -> u8 {
        let enough = |lane: usize, cut: u8| {
            let units = state.units_of(&self.scenario, lane);
            let counting = units.filter(|unit| unit.disk != Disk::Dead);
            counting.filter(|unit| unit.known.stamped >= cut).count() >= self.quorum()
        };
        let goes = |cut: u8| {
            let touched =
                |lane: &usize| state.length_after(*lane, cut) > state.length_after(*lane, cut - 1);
            let mut lanes = (0..LANES).filter(touched);
            match self.is(Mutant::ForgetByOneStripe) {
                true => lanes.any(|lane| enough(lane, cut)),
                false => lanes.all(|lane| enough(lane, cut)),
            }
        };
        let next = state.forgotten + 1..=state.cut_seq();
        next.take_while(|cut| goes(*cut))
            .last()
            .unwrap_or(state.forgotten)
    }

    /// The leader's own cut is applied.
    pub(crate) fn commit_own(&self, state: &mut State) -> bool {
        let Some(proposal) = state.own.take() else {
            return false;
        };
        self.apply(state, &proposal);
        true
    }

    /// A dead leader's cut is applied after all; it may come again.
    pub(crate) fn commit_late(&self, state: &mut State, index: usize) -> bool {
        let Some(proposal) = state.late[index] else {
            return false;
        };
        let before = state.clone();
        self.apply(state, &proposal);
        *state != before
    }

    /// A dead leader's cut is dropped for good.
    pub(crate) fn drop_late(&self, state: &mut State, index: usize) -> bool {
        state.late[index].take().is_some()
    }

    /// `apply(Cut)`: for each open lane in ascending id, n > length gives the LSNs [end, end + n −
    /// length) to its next records; length := n, chain := its chain.
    pub(crate) fn apply(&self, state: &mut State, proposal: &Proposal) {
        let end = state.end();
        for lane in 0..LANES {
            let (cut, new) = (state.lanes[lane].cut, proposal.ends[lane]);
            let open = state.lanes[lane].phase == Phase::Open || self.is(Mutant::SealNotFinal);
            let takes = new.len() > cut.len() || self.is(Mutant::MaxMergeMissing);
            if new.is_empty() || !open || !takes {
                continue;
            }
            for payload in new.after(cut.len()).numbers() {
                state.order = state.order.and(lane as u8);
                state.truth = state.truth.and(payload);
            }
            state.lanes[lane].cut = new;
        }
        if state.end() > end {
            state.cut_ends = state.cut_ends.and(state.end());
        }
        state.forgotten = state.forgotten.max(proposal.forget_through);
    }

    /// Whether a late proposal can no longer change anything.
    pub(crate) fn is_spent(&self, state: &State, proposal: &Proposal) -> bool {
        let passed = |lane: usize| {
            let of = &state.lanes[lane];
            let open = of.phase == Phase::Open || self.is(Mutant::SealNotFinal);
            !open || proposal.ends[lane].len() <= of.cut.len()
        };
        (0..LANES).all(passed) && proposal.forget_through <= state.forgotten
    }

    /// An election: memory of units is lost, the proposal of the dead leader is late or lost.
    pub(crate) fn elect(&self, state: &mut State) {
        for unit in &mut state.units {
            unit.known = Report::default();
            unit.sent = None;
        }
        if let Some(proposal) = state.own.take()
            && let Some(free) = state.late.iter_mut().find(|late| late.is_none())
        {
            *free = Some(proposal);
        }
    }

    /// LOG-A4, LOG-I6: seal and open in one entry; the successor lies on the next stripe.
    pub(crate) fn move_lane(&self, state: &mut State, lane: usize) -> bool {
        let Some(left) = state.budget.moves.checked_sub(1) else {
            return false;
        };
        if state.lanes[lane].phase != Phase::Open || state.lanes[lane].successor.is_some() {
            return false;
        }
        state.budget.moves = left;
        state.lanes[lane].phase = Phase::Sealed;
        self.open_successor(state, lane)
    }

    pub(crate) fn open_successor(&self, state: &mut State, lane: usize) -> bool {
        let stripe = (state.lanes[lane].stripe + 1) % self.scenario.stripes.len() as u8;
        let Some(new) = state
            .lanes
            .iter()
            .position(|lane| lane.phase == Phase::Unborn)
        else {
            return false;
        };
        state.lanes[new].phase = Phase::Open;
        state.lanes[new].stripe = stripe;
        state.lanes[lane].successor = Some(new as u8);
        true
    }
}
