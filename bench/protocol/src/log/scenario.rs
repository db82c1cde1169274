//! How much of each thing happens: the sizes at which the model is searched.

use crate::log::content::Content;
use crate::log::mutant::Mutant;
use crate::verdict::Size;

/// Lanes a scenario can hold, the moved ones included.
pub const LANES: usize = 3;
/// Units a scenario can hold.
pub const UNITS: usize = 4;
/// The rule's write quorum, whatever a mutant makes of it.
pub const QUORUM: usize = 2;

/// One bounded world. Every interleaving of what it allows is searched.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Of each stripe, the units it is written to, as bits.
    pub stripes: Vec<u8>,
    /// Of each lane that is open at the start: its stripe, and the payloads its owner has framed.
    pub lanes: Vec<(u8, Content)>,
    /// Reports travel: they may be overtaken by what happens to their unit.
    pub late_reports: bool,
    /// A reader that applies what units serve.
    pub reader: bool,
    pub budget: Budget,
}

/// How often each thing may still happen. Part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// The leader dies: its memory is gone, its proposal is late or lost.
    pub failovers: u8,
    /// All machines lose power at once.
    pub power: u8,
    /// One unit's machine loses power.
    pub crashes: u8,
    /// A disk is lost, or its last synced frame is damaged. At most W − 1: what the log tolerates.
    pub faults: u8,
    /// MoveLane.
    pub moves: u8,
    /// A second process with the same incarnation (a cloned machine), which no rule foresees: the
    /// chains must contain it.
    pub clones: u8,
}

const ALL_THREE: u8 = 0b0111;
const LAST_THREE: u8 = 0b1110;

impl Scenario {
    /// All worlds of a size. The small ones are what CI searches, in a debug build within a minute.
    pub fn all(size: Size) -> Vec<Self> {
        let power = |failovers, power| Budget {
            failovers,
            power,
            ..Budget::default()
        };
        match size {
            Size::Small => vec![
                Self::failover(&[0, 1], 1, 1),
                Self::disk(&[0], 1, 1),
                Self::disk(&[0, 1], 0, 0),
                Self::moves(&[0], 1, 1),
                Self::two_stripes(&[0], power(0, 0)),
                Self::clone(&[0, 1], 0),
            ],
            Size::Large => vec![
                Self::failover(&[0, 1], 2, 1),
                Self::failover(&[0, 1, 2], 1, 1),
                Self::disk(&[0, 1], 1, 1),
                Self::moves(&[0, 1], 1, 0).without_reader(),
                Self::two_stripes(&[0], power(0, 1)),
                Self::clone(&[0, 1], 1),
            ],
        }
    }

    /// A small world in which a mutant shows itself.
    pub fn of_mutant(mutant: Mutant) -> Self {
        match mutant {
            Mutant::DurableBeforeFsync
            | Mutant::ReadUnapplied
            | Mutant::ForgetBeforeSync
            | Mutant::QuorumOfOne => Self::failover(&[0, 1], 1, 1),
            Mutant::MaxMergeMissing => Self::failover(&[0, 1], 2, 1),
            Mutant::HelloBeforeResync | Mutant::LossyByLength => Self::disk(&[0], 1, 1),
            Mutant::UnitForgets | Mutant::HelloDoesNotReplace | Mutant::StampsWithoutFrames => {
                Self::disk(&[0, 1], 1, 0)
            }
            Mutant::ResendBeforeSeal | Mutant::ResendFromHeard | Mutant::SealNotFinal => {
                Self::moves(&[0, 1], 1, 0).without_reader()
            }
            Mutant::OwnerReused | Mutant::ChainNotCompared | Mutant::ChainNotServed => {
                Self::clone(&[0, 1], 0)
            }
            Mutant::ForgetByOneStripe => {
                let power = 1;
                Self::two_stripes(
                    &[0],
                    Budget {
                        power,
                        ..Budget::default()
                    },
                )
            }
        }
    }

    fn without_reader(self) -> Self {
        Self {
            reader: false,
            ..self
        }
    }

    fn one_lane(name: &'static str, payloads: &[u8], budget: Budget) -> Self {
        Self {
            name,
            stripes: vec![ALL_THREE],
            lanes: vec![(0, Content::of(payloads))],
            late_reports: false,
            reader: false,
            budget,
        }
    }

    /// Elections and power failures; proposals of dead leaders arrive late.
    pub fn failover(payloads: &[u8], failovers: u8, power: u8) -> Self {
        let budget = Budget {
            failovers,
            power,
            ..Budget::default()
        };
        let scenario = Self::one_lane("failover", payloads, budget);
        Self {
            reader: true,
            ..scenario
        }
    }

    /// A lost or damaged disk and a crash; reports are late.
    pub fn disk(payloads: &[u8], failovers: u8, crashes: u8) -> Self {
        let budget = Budget {
            failovers,
            crashes,
            faults: 1,
            ..Budget::default()
        };
        let scenario = Self::one_lane("disk", payloads, budget);
        Self {
            late_reports: true,
            ..scenario
        }
    }

    /// A lane moves to another stripe on the same units.
    pub fn moves(payloads: &[u8], failovers: u8, power: u8) -> Self {
        let budget = Budget {
            failovers,
            power,
            moves: 1,
            ..Budget::default()
        };
        let scenario = Self::one_lane("moves", payloads, budget);
        Self {
            stripes: vec![ALL_THREE, ALL_THREE],
            reader: true,
            ..scenario
        }
    }

    /// Two lanes on two stripes that share two of four units, one cut for both, a reader that merges.
    pub fn two_stripes(first: &[u8], budget: Budget) -> Self {
        Self {
            name: "two-stripes",
            stripes: vec![ALL_THREE, LAST_THREE],
            lanes: vec![(0, Content::of(first)), (1, Content::of(&[9]))],
            late_reports: false,
            reader: false,
            budget,
        }
    }

    /// The owner is doubled: two processes frame different records for the same idx.
    pub fn clone(payloads: &[u8], failovers: u8) -> Self {
        let budget = Budget {
            failovers,
            clones: 1,
            ..Budget::default()
        };
        Self::one_lane("clone", payloads, budget)
    }
}
