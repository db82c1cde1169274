//! One word for a cluster, and the exit code that says the same.
use super::problems::Problem;
use crate::exit::Exit;

/// How a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nothing is known to be wrong.
    Healthy,
    /// Everything is served, but something is not as it should be: another loss may stop it.
    Degraded,
    /// Reads or writes are refused or wait, all of them or some.
    Unavailable,
}

impl Health {
    pub(crate) fn of(problems: &[Problem]) -> Health {
        match problems {
            [] => Health::Healthy,
            problems if problems.iter().any(|problem| problem.stops) => Health::Unavailable,
            _ => Health::Degraded,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unavailable => "unavailable",
        }
    }

    pub(crate) fn exit(self) -> Exit {
        match self {
            Health::Healthy => Exit::Done,
            Health::Degraded => Exit::Other,
            Health::Unavailable => Exit::Unavailable,
        }
    }
}
