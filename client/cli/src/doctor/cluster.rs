//! The cluster as a whole: what status knows, versions, clocks, lag.
use super::{Finding, Verdict};
use crate::figures;
use crate::status::Seen;
use crate::status::problems::problems;
use crate::tellers::Told;
use std::collections::BTreeSet;

/// Log time is the median of clocks: a minute off makes retention and @-1m a minute wrong …
const SKEW_BAD_US: f64 = 10e6;
/// … and what NTP keeps is a tenth of this.
const SKEW_WARN_US: f64 = 500e3;
/// A second's worth of a busy log …
const LAG_WARN: f64 = 10_000.0;
/// … and what takes long to fold.
const LAG_BAD: f64 = 1_000_000.0;

pub(super) fn findings(seen: &Seen, told: &[Told], own_version: &str) -> Vec<Finding> {
    let mut findings = vec![health(seen), versions(told, own_version)];
    findings.extend(clocks(told));
    findings.extend(lags(seen));
    findings
}

/// All that status calls a problem, in one finding.
fn health(seen: &Seen) -> Finding {
    let problems = problems(seen);
    let verdict = match problems.as_slice() {
        [] => Verdict::Ok,
        found if found.iter().any(|problem| problem.stops) => Verdict::Bad,
        _ => Verdict::Warn,
    };
    let all: Vec<&str> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    let told = match all.is_empty() {
        true => "no problem is known; all stripes and groups have their copies".into(),
        false => all.join("; "),
    };
    let act = problems.iter().find(|problem| !problem.act.is_empty());
    let act = act.map_or("it mends itself; dfsctl status --watch shows it", |it| {
        it.act.as_str()
    });
    Finding::new("health", "cluster", verdict, told, act)
}

fn versions(told: &[Told], own: &str) -> Finding {
    let answers = told.iter().filter_map(|told| told.answer.as_ref().ok());
    let mut all: BTreeSet<&str> = answers.map(|answer| answer.version.as_str()).collect();
    let members: Vec<&str> = all.iter().copied().collect();
    let seen = format!("members {}, dfsctl {own}", members.join(" and "));
    all.insert(own);
    let verdict = if all.len() > 1 {
        Verdict::Warn
    } else {
        Verdict::Ok
    };
    let act = "install the same version everywhere, a process after the other";
    Finding::new("version", "cluster", verdict, seen, act)
}

/// Of each machine against this one; half of the way there and back is not known.
fn clocks(told: &[Told]) -> Vec<Finding> {
    let answered = told
        .iter()
        .filter_map(|told| Some((told, told.answer.as_ref().ok()?)));
    let skews = answered.map(|(told, answer)| {
        let skew = answer.wall_us as f64 - told.here_us as f64;
        let known = (skew.abs() - told.took_us as f64 / 2.0).max(0.0);
        let verdict = Verdict::above(known, SKEW_WARN_US, SKEW_BAD_US);
        let seen = format!(
            "{:+.1} ms against this machine, known to {:.1} ms",
            skew / 1e3,
            told.took_us as f64 / 2e3
        );
        let act = "set the clock by NTP (chronyc tracking), there or here";
        Finding::new("clock", &told.address, verdict, seen, act)
    });
    skews.collect()
}

fn lags(seen: &Seen) -> Vec<Finding> {
    let last = seen.last_lsn();
    let materializers = seen.told.materializers.iter().map(|(member, told)| {
        let applied = told
            .as_ref()
            .map_or(member.applied_lsn, |told| told.applied_lsn);
        (
            format!("materializer/{}", member.node_id),
            last.saturating_sub(applied),
        )
    });
    let units = seen.told.units.iter().filter_map(|(unit, told)| {
        let told = told.as_ref().ok()?;
        Some((format!("unit/{}", unit.unit_id), told.records_behind))
    });
    let voters = seen
        .group
        .group
        .iter()
        .filter(|member| seen.is_led() && !member.leads);
    let voters = voters.map(|member| {
        let lag = seen.group.last_index.saturating_sub(member.matched_index);
        (format!("sequencer/{}", member.id), lag)
    });
    let all = voters.chain(units).chain(materializers);
    all.map(|(name, lag)| {
        let verdict = Verdict::above(lag as f64, LAG_WARN, LAG_BAD);
        let seen = figures::count(lag, "record behind", "records behind");
        let act =
            "see whether it shrinks: dfsctl top --sort lag; if not, its disk or CPU is too slow";
        Finding::new("lag", name, verdict, seen, act)
    })
    .collect()
}
