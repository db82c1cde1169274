//! The state of a cluster on one screen: health in a word, members, capacity, what is mended, what needs a person.
//!
//! - `gather.rs`: asked; `problems.rs`, `repairs.rs`, `health.rs`: judged (pure)
//! - `members.rs`, `stripes.rs`, `history.rs`: parts of the screen; `json.rs`: the same in raw numbers
pub(crate) mod gather;
mod health;
pub(crate) mod history;
mod json;
mod members;
pub(crate) mod problems;
mod repairs;
mod stripes;

use crate::quote::hex;
use crate::{calendar, figures};
use dfs_wire::v1;
pub(crate) use gather::Seen;
pub(crate) use health::Health;
pub(crate) use json::to_json;
use problems::{Problem, problems};
use std::fmt::Write;

pub(crate) fn health(seen: &Seen) -> Health {
    Health::of(&problems(seen))
}

pub(crate) fn to_text(seen: &Seen, wide: bool) -> String {
    let sequencer = &seen.told.sequencer;
    let problems = problems(seen);
    let mut text = String::new();
    let _ = writeln!(text, "health        {}", in_short(&problems));
    let _ = writeln!(text, "cluster       {}", hex(&sequencer.cluster_id));
    let time = calendar::format(sequencer.log_time_us);
    let (last, cut) = (seen.last_lsn(), sequencer.cut_seq);
    let _ = writeln!(
        text,
        "log           lsn {last}  time {time}  cut {cut}  term {}",
        sequencer.term
    );
    history::to_text(&mut text, &seen.told);
    let capacity = members::Capacity::of(seen);
    let _ = writeln!(text, "capacity      {}", capacity.line());
    text.push_str(&stripes::lines(sequencer, wide));
    let _ = writeln!(text, "\n{}", members::to_text(seen));
    if wide {
        text.push_str(&stripes::groups(seen));
    }
    for repair in repairs::repairs(seen) {
        let _ = writeln!(text, "repair: {repair}");
    }
    for problem in &problems {
        let _ = writeln!(text, "problem: {}", problem.what);
        if !problem.act.is_empty() {
            let _ = writeln!(text, "  do: {}", problem.act);
        }
    }
    if problems.is_empty() {
        // Nobody looks at bytes that nobody reads.
        text.push_str("no problem is known; bytes are checked whenever they are read\n");
    }
    text.truncate(text.trim_end().len());
    text
}

fn in_short(problems: &[Problem]) -> String {
    let health = Health::of(problems);
    let need = problems.iter().filter(|problem| !problem.act.is_empty());
    let (all, need) = (problems.len() as u64, need.count() as u64);
    match all {
        0 => health.word().into(),
        _ => format!(
            "{}  {}; {} a person",
            health.word(),
            figures::count(all, "problem", "problems"),
            figures::count(need, "needs", "need")
        ),
    }
}

pub(crate) fn unit_state(state: i32) -> &'static str {
    match v1::UnitState::try_from(state) {
        Ok(v1::UnitState::Active) => "active",
        Ok(v1::UnitState::ReadOnly) => "read-only",
        Ok(v1::UnitState::Draining) => "draining",
        Ok(v1::UnitState::Dead) => "dead",
        Ok(v1::UnitState::Unspecified) | Err(_) => "unknown",
    }
}

#[cfg(test)]
#[path = "../tests/unit/status.rs"]
mod tests;
