//! The order: what Raft holds (LOG.md §2), and `apply`, the only thing that ever changes it.
//!
//! Pure and total: every command, also a stale, doubled or foolish one, has a defined outcome on every
//! state. What a command did comes back as [`Effects`]: an answer for whoever proposed it, and the
//! events that subscribers and units are told.
pub(crate) mod base;
pub mod command;
mod copies;
mod cut;
mod history;
mod image;
mod lanes;
mod move_lane;
mod pins;
mod register;
mod remove_node;
mod seat;
mod set_unit;
mod snapshot_done;
mod stripes;
mod trim;
pub(crate) mod waiting;

use crate::order::command::{Command, Kind};
use dfs_wire::{Code, v1};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

pub use crate::order::history::History;
pub use crate::order::image::{Lane, Member, Stripe, Unit};

/// Cuts held at most. A Base of this many is about 2 MiB, an eighth of the largest message; past it
/// nothing is cut until units have stamped (LOG-U6).
pub const CUTS_HELD_MAX: usize = 16_384;
/// The first log of a cluster; a later protocol gets the next number.
const GENERATION: u64 = 1;

pub type Event = v1::log_event::Event;

/// What Raft holds. Rows are never removed yet: lanes leave with trim, which is a later command.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// 16 bytes; empty until the cluster is founded.
    pub cluster_id: Vec<u8>,
    pub generation: u64,
    pub members: BTreeMap<u64, Member>,
    pub units: BTreeMap<u64, Unit>,
    pub stripes: BTreeMap<u64, Stripe>,
    pub lanes: BTreeMap<u64, Lane>,
    /// The end: the first LSN not yet assigned.
    pub next_lsn: u64,
    pub cut_seq: u64,
    pub log_time_us: u64,
    /// A contiguous run up to `cut_seq`.
    pub cuts: VecDeque<v1::Cut>,
    /// Raft index of the last command applied.
    pub applied_index: u64,
    /// Voter to the nonce of its directory, without one once it was removed; empty while there is one
    /// voter.
    pub seats: BTreeMap<u64, Vec<u8>>,
    /// How far back the log goes, and what holds it.
    pub history: History,
}

/// What whoever proposed a command is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, or it was so already; nothing else to say.
    Stands,
    Registered {
        node_id: u64,
        unit_ids: Vec<u64>,
    },
    LaneOpened {
        lane: u64,
    },
    LaneSealed {
        final_length: u64,
    },
    /// Sealed, and opened anew: with all that was cut of it, and where it goes on.
    LaneMoved {
        final_length: u64,
        lane: u64,
    },
    StripeOpened {
        stripe: u64,
    },
    Refused(Refused),
}

/// A refusal by rule: the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: i32,
    pub what: String,
    pub why: String,
}

/// What applying one command did.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    /// Members or units are not what they were.
    pub members_changed: bool,
}

impl Effects {
    fn quiet(outcome: Outcome) -> Effects {
        Effects {
            outcome,
            events: Vec::new(),
            members_changed: false,
        }
    }

    fn refused(code: Code, what: impl Into<String>, why: impl Into<String>) -> Effects {
        let (what, why) = (what.into(), why.into());
        Effects::quiet(Outcome::Refused(Refused {
            code: code as i32,
            what,
            why,
        }))
    }
}

impl Default for Order {
    fn default() -> Order {
        Order {
            cluster_id: Vec::new(),
            generation: GENERATION,
            members: BTreeMap::new(),
            units: BTreeMap::new(),
            stripes: BTreeMap::new(),
            lanes: BTreeMap::new(),
            next_lsn: 1,
            cut_seq: 0,
            log_time_us: 0,
            cuts: VecDeque::new(),
            applied_index: 0,
            seats: BTreeMap::new(),
            history: History::default(),
        }
    }
}

impl Order {
    /// Carries out one committed command. `index` is its place in the Raft log: it only rises.
    pub fn apply(&mut self, index: u64, command: &Command) -> Effects {
        assert!(
            index > self.applied_index,
            "Raft index {index} was applied before"
        );
        self.applied_index = index;
        match &command.kind {
            None => Effects::quiet(Outcome::Stands),
            Some(Kind::Found(found)) => self.found(found),
            Some(Kind::Cut(proposed)) => self.cut(index, proposed),
            Some(Kind::Register(register)) => {
                let effects = self.register(register);
                self.settle_waiting();
                effects
            }
            Some(Kind::OpenLane(open)) => self.open_lane(index, open),
            Some(Kind::OpenStripe(open)) => self.open_stripe(index, open),
            Some(Kind::SealLane(seal)) => self.seal_lane(index, seal.lane),
            Some(Kind::CloseStripe(close)) => self.close_stripe(index, close.stripe),
            Some(Kind::SeatVoter(seat)) => self.seat_voter(seat),
            Some(Kind::UnseatVoter(unseat)) => self.unseat_voter(unseat),
            Some(Kind::RemoveNode(remove)) => self.remove_node(index, remove.node_id),
            Some(Kind::MoveLane(moved)) => self.move_lane(index, moved),
            Some(Kind::Trim(trim)) => self.trim(index, trim),
            Some(Kind::Pin(pin)) => self.pin(pin),
            Some(Kind::Unpin(unpin)) => self.unpin(unpin),
            Some(Kind::AdvancePin(advance)) => self.advance_pin(advance),
            Some(Kind::SnapshotDone(done)) => self.snapshot_done(done),
            Some(Kind::SetUnit(set)) => {
                let effects = self.set_unit(set);
                self.settle_waiting();
                effects
            }
            Some(Kind::CopyStripe(copy)) => self.copy_stripe(index, copy),
            Some(Kind::AddLocation(add)) => self.add_location(index, add),
            Some(Kind::RemoveLocation(remove)) => self.remove_location(index, remove),
        }
    }

    /// The cluster gets its id once; whoever comes later finds it founded.
    fn found(&mut self, found: &command::Found) -> Effects {
        if self.cluster_id.is_empty() {
            self.cluster_id.clone_from(&found.cluster_id);
        }
        Effects::quiet(Outcome::Stands)
    }
}
