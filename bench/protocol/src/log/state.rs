//! The whole world of the log's model: Raft's state, the leader's memory, units, appenders, a reader.

use crate::log::content::Content;
use crate::log::scenario::{Budget, LANES, Scenario, UNITS};

/// Everything there is. What several places know by rule alone is held once: applied Raft state is
/// one, because a Raft entry, once applied anywhere, is applied everywhere in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub lanes: [Lane; LANES],
    /// Of each LSN from 0: the lane whose next record it is. Grows by `apply(Cut)` alone (LOG-I5).
    pub order: Content,
    /// Of each LSN: the payload that the cut's chain vouches for.
    pub truth: Content,
    /// Of each cut: the end after it.
    pub cut_ends: Content,
    /// Cuts up to here are forgotten (LOG-U6), counted from 1.
    pub forgotten: u8,
    pub units: [Unit; UNITS],
    /// The leader's one cut in flight (LOG-D3).
    pub own: Option<Proposal>,
    /// Proposals of dead leaders, which may be committed late, in any order, more than once, or never.
    pub late: [Option<Proposal>; 2],
    /// What a reader has applied.
    pub reader: Content,
    pub budget: Budget,
    /// A cut was proposed that counts on a copy known to be lost.
    pub miscounted: bool,
}

/// A lane as its owner knows it and as Raft holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Frozen by its owner (LOG-A2), one record to a frame.
    pub content: Content,
    /// What a second owner of the same lane has framed; empty while there is none.
    pub cloned: Content,
    /// Raft's (length, chain).
    pub cut: Content,
    pub phase: Phase,
    pub stripe: u8,
    pub successor: Option<u8>,
    /// What lay above the final length was sent again on the successor.
    pub resent: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    #[default]
    Unborn,
    Open,
    Sealed,
}

/// One unit: its disk, its memory, and what the leader knows of it. Kept together, so that units of
/// the same stripes may change places (see [`State::canonical`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit {
    pub disk: Disk,
    /// Of each lane: the frames it has staged or written, and how many of them are synced.
    ///
    /// Staged and written are one: what was written and not synced may survive a loss of power or not;
    /// where it survives, the disk is as if it had been synced just before, and nobody was told.
    pub held: [Content; LANES],
    pub synced: [u8; LANES],
    /// Cuts it has been told of, as a run from the first; their stamps are written with the next fsync.
    pub heard: u8,
    /// Cuts whose stamps are synced.
    pub stamped: u8,
    /// A report on its way (LOG-U2, Hello and Durable).
    pub sent: Option<Report>,
    /// The leader's memory of it (LOG-D1); contents that a cut has passed are not kept.
    pub known: Report,
    /// Only under a mutant: what it shows of unsynced frames after a crash.
    pub page_cache_shown: bool,
    /// Of each lane how much it held before a damage, until it does again (LOG.md §6: lossy). Its Hello
    /// names the bad range.
    pub lossy: [u8; LANES],
    /// The Hello that names it has reached the leader.
    pub told: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disk {
    /// No such unit in this scenario.
    #[default]
    Absent,
    Active,
    /// Emptied; the sequencer does not know yet.
    Lost,
    /// Another nonce has registered on its slot.
    Dead,
}

/// All frame ends of a unit's lanes with their chains, and the cut through which it has stamped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Report {
    pub ends: [Content; LANES],
    pub stamped: u8,
}

/// A Cut on its way through Raft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Proposal {
    /// Of each lane the (length, chain); empty where it says nothing.
    pub ends: [Content; LANES],
    pub forget_through: u8,
}

impl State {
    pub(crate) fn at_start(scenario: &Scenario) -> Self {
        let mut lanes = [Lane::default(); LANES];
        for (lane, (stripe, content)) in lanes.iter_mut().zip(&scenario.lanes) {
            lane.phase = Phase::Open;
            lane.stripe = *stripe;
            lane.content = *content;
        }
        let mut units = [Unit::default(); UNITS];
        for (index, unit) in units.iter_mut().enumerate() {
            if scenario.stripes.iter().any(|mask| mask & (1 << index) != 0) {
                unit.disk = Disk::Active;
            }
        }
        Self {
            lanes,
            order: Content::EMPTY,
            truth: Content::EMPTY,
            cut_ends: Content::EMPTY,
            forgotten: 0,
            units,
            own: None,
            late: [None; 2],
            reader: Content::EMPTY,
            budget: scenario.budget,
            miscounted: false,
        }
    }

    /// The first LSN not yet assigned.
    pub fn end(&self) -> u8 {
        self.order.len()
    }

    pub fn cut_seq(&self) -> u8 {
        self.cut_ends.len()
    }

    /// The cut (from 1) that assigned this LSN.
    pub fn cut_of(&self, lsn: u8) -> u8 {
        let before = self.cut_ends.numbers().filter(|end| *end <= lsn);
        before.count() as u8 + 1
    }

    /// (lane, idx) of an LSN.
    pub fn place_of(&self, lsn: u8) -> Option<(usize, u8)> {
        let lane = self.order.at(lsn)?;
        let before = self.order.prefix(lsn).numbers();
        let idx = before.filter(|other| *other == lane).count();
        Some((usize::from(lane), idx as u8))
    }

    /// How long a lane was after a cut.
    pub fn length_after(&self, lane: usize, cut: u8) -> u8 {
        let end = cut.checked_sub(1).and_then(|cut| self.cut_ends.at(cut));
        let order = self.order.prefix(end.unwrap_or(0)).numbers();
        order.filter(|other| usize::from(*other) == lane).count() as u8
    }

    /// Units of the lane's stripe.
    pub fn units_of<'a>(
        &'a self,
        scenario: &'a Scenario,
        lane: usize,
    ) -> impl Iterator<Item = &'a Unit> {
        let mask = scenario.stripes[usize::from(self.lanes[lane].stripe)];
        let units = self.units.iter().enumerate();
        units.filter_map(move |(index, unit)| (mask & (1 << index) != 0).then_some(unit))
    }

    pub fn is_on(&self, scenario: &Scenario, unit: usize, lane: usize) -> bool {
        let lane = &self.lanes[lane];
        lane.phase != Phase::Unborn && scenario.stripes[usize::from(lane.stripe)] & (1 << unit) != 0
    }
}

impl Unit {
    /// What a loss of power leaves of a lane.
    pub fn durable(&self, lane: usize) -> Content {
        self.held[lane].prefix(self.synced[lane])
    }

    pub fn is_lossy(&self) -> bool {
        self.lossy != [0; LANES]
    }

    pub fn is_up(&self) -> bool {
        self.disk == Disk::Active
    }
}
