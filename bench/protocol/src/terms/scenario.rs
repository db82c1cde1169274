//! How much of each thing happens in the model of terms.

use crate::terms::mutant::Mutant;
use crate::verdict::Size;

/// Requests a scenario can hold: 0 creates a name, 1 removes it.
pub const REQUESTS: usize = 2;
/// The most attempts a client makes of one request.
pub const ATTEMPTS: usize = 3;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Attempts the client may make, of each request.
    pub attempts: [u8; REQUESTS],
    /// Request 0 is a commit that names extents of a session (FOLD-S4).
    pub names_extents: bool,
    pub budget: Budget,
}

/// How often each thing may still happen. Part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// TermStarted appended, by either replica, for any reason: a wrong alarm is one.
    pub campaigns: u8,
    /// A replica's process dies and comes back with another incarnation.
    pub restarts: u8,
    /// Another shard's primary expires the session (FOLD-S1).
    pub expiries: u8,
    /// Linearizable reads.
    pub reads: u8,
}

const ONE_CAMPAIGN: Budget = Budget {
    campaigns: 1,
    restarts: 0,
    expiries: 0,
    reads: 0,
};

impl Scenario {
    /// All worlds of a size. The small ones are what CI searches.
    pub fn all(size: Size) -> Vec<Self> {
        match size {
            Size::Small => vec![
                Self::takeover(2),
                Self::read(),
                Self::expiry(1),
                Self::restart(1),
            ],
            Size::Large => vec![
                Self::rivals(),
                Self::new(
                    "two takeovers",
                    [2, 2],
                    Budget {
                        campaigns: 2,
                        ..ONE_CAMPAIGN
                    },
                ),
                Self::new("three attempts", [3, 1], ONE_CAMPAIGN),
                Self::expiry(2),
                Self::restart(2),
            ],
        }
    }

    /// A small world in which a mutant shows itself.
    pub fn of_mutant(mutant: Mutant) -> Self {
        match mutant {
            Mutant::OverlayOverForeign
            | Mutant::CommitWithoutSession
            | Mutant::SessionGoneRefuses => Self::expiry(1),
            Mutant::ReadWithoutEnd => Self::read(),
            Mutant::TermsByNumber => Self::rivals(),
            _ => Self::takeover(2),
        }
    }

    /// The name is created and removed while the primary changes.
    pub fn takeover(attempts_to_remove: u8) -> Self {
        Self::new("takeover", [2, attempts_to_remove], ONE_CAMPAIGN)
    }

    /// With a linearizable read.
    pub fn read() -> Self {
        Self::new(
            "read",
            [2, 1],
            Budget {
                reads: 1,
                ..ONE_CAMPAIGN
            },
        )
    }

    /// The name is a commit that names extents of a session, which expires.
    pub fn expiry(attempts_to_remove: u8) -> Self {
        let budget = Budget {
            expiries: 1,
            ..ONE_CAMPAIGN
        };
        Self::new("expiry", [2, attempts_to_remove], budget)
    }

    /// Both replicas campaign, or one twice.
    pub fn rivals() -> Self {
        Self::new(
            "rivals",
            [2, 1],
            Budget {
                campaigns: 2,
                ..ONE_CAMPAIGN
            },
        )
    }

    /// A process dies with frames in flight.
    pub fn restart(campaigns: u8) -> Self {
        Self::new(
            "restart",
            [2, 1],
            Budget {
                campaigns,
                restarts: 1,
                ..ONE_CAMPAIGN
            },
        )
    }

    pub fn new(name: &'static str, attempts: [u8; REQUESTS], budget: Budget) -> Self {
        Self {
            name,
            attempts,
            names_extents: budget.expiries > 0,
            budget,
        }
    }
}
