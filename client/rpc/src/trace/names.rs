//! Every span there is: names that do not change, who makes them, what their fields are.
use std::fmt::Write;

/// One name.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    pub name: &'static str,
    pub role: &'static str,
    pub fields: &'static str,
    pub what: &'static str,
}

const fn of(
    name: &'static str,
    role: &'static str,
    fields: &'static str,
    what: &'static str,
) -> Name {
    Name {
        name,
        role,
        fields,
        what,
    }
}

#[rustfmt::skip]
pub const NAMES: &[Name] = &[
    of("cli.command", "cli", "command", "A command, from its first to its last word: the root of its trace."),
    of("fs.write", "client", "path", "A whole file: store its bytes, then commit it."),
    of("fs.read", "client", "kind", "A question to a materializer, with all its attempts."),
    of("fs.mutate", "client", "kind, path", "A mutation, with all its attempts."),
    of("fs.session", "client", "", "Waits for a session, or for whoever is primary now."),
    of("fs.store", "client", "", "The bytes of one file on their way to units."),
    of("extents.store", "client", "unit, group, bytes", "One extent to one unit: connecting, sending, its answer."),
    of("extents.load", "client", "unit, group, bytes", "A piece of an extent from one unit."),
    of("materializer.request", "materializer", "kind", "A request, from its arrival to its answer."),
    of("materializer.view", "materializer", "reads", "Waits until the state that a read wants is folded."),
    of("materializer.plan", "materializer", "shard", "From the queue of the shard's loop to the record, or the refusal."),
    of("materializer.append", "materializer", "shard, term, lane", "The record on its way: until its cut was heard."),
    of("materializer.fold", "materializer", "shard, lsn", "From there until it is folded and published."),
    of("unit.append", "log unit", "unit, lane, stripe, first_idx, records, others", "A frame with the record: until it is durable on this unit."),
    of("unit.log_fsync", "log unit", "unit, frames", "Writing and syncing the round that the frame is in."),
    of("unit.store", "log unit", "unit, group, bytes", "An extent, from its header to its answer."),
    of("unit.extent_fsync", "log unit", "unit", "Waits for the sync that covers the extent."),
    of("unit.load", "log unit", "unit", "A piece of an extent: until its first byte."),
    of("sequencer.quorum", "sequencer", "lane, stripe, end_idx, unit", "From the first unit that holds the frame durably until enough of them do and it is proposed."),
    of("sequencer.cut", "sequencer", "lane, end_idx, others", "The cut: Raft with its sync, and applying it."),
    of("sequencer.request", "sequencer", "kind", "A request, from its arrival to its answer."),
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.iter().any(|known| known.name == name)
}

/// As deploy/TRACES.md has it.
pub fn table() -> String {
    let mut text = String::from("| span | role | fields | what |\n|---|---|---|---|\n");
    for name in NAMES {
        let (fields, role, what) = (name.fields, name.role, name.what);
        let _ = writeln!(text, "| `{}` | {role} | {fields} | {what} |", name.name);
    }
    text
}
