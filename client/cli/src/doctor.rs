//! What a doctor looks at, judged from figures: each finding with what was seen and what to do. Pure.
//!
//! - `members.rs`: each process and its roles; `cluster.rs`: all of them together; `local.rs`: this machine
mod cluster;
pub(crate) mod local;
mod members;

use crate::status::Seen;
use crate::tellers::Told;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Ok,
    Warn,
    Bad,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Bad => "bad",
        }
    }

    /// `bad` from there on, `warn` from here on.
    fn above(figure: f64, warn: f64, bad: f64) -> Verdict {
        match figure {
            figure if figure >= bad => Verdict::Bad,
            figure if figure >= warn => Verdict::Warn,
            _ => Verdict::Ok,
        }
    }

    /// As `above`, where little is bad.
    fn below(figure: f64, warn: f64, bad: f64) -> Verdict {
        Verdict::above(-figure, -warn, -bad)
    }
}

/// One check of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    /// Whom it is about.
    pub(crate) of: String,
    pub(crate) verdict: Verdict,
    pub(crate) seen: String,
    /// Empty where all is well.
    pub(crate) act: String,
}

impl Finding {
    /// `act` counts where not all is well.
    fn new(
        check: &'static str,
        of: impl Into<String>,
        verdict: Verdict,
        seen: impl Into<String>,
        act: impl Into<String>,
    ) -> Finding {
        let act = match verdict {
            Verdict::Ok => String::new(),
            Verdict::Warn | Verdict::Bad => act.into(),
        };
        Finding {
            check,
            of: of.into(),
            verdict,
            seen: seen.into(),
            act,
        }
    }
}

/// Everything that can be found out from here, the worst first.
pub(crate) fn examine(seen: &Seen, told: &[Told], own_version: &str) -> Vec<Finding> {
    let mut findings = cluster::findings(seen, told, own_version);
    for told in told {
        findings.extend(members::findings(told));
    }
    findings.extend(members::disks(told));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    findings
}

#[cfg(test)]
#[path = "../tests/unit/doctor.rs"]
mod tests;
