//! Where the log goes now, and where it lies: stripes with their lanes, groups of files.
use super::Seen;
use crate::{figures, record};
use dfs_wire::v1;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Closed ones are only read from, and only the newest are told.
const CLOSED_TOLD: usize = 3;

/// Open stripes, a line each; with `wide` closed ones, too.
pub(super) fn lines(sequencer: &v1::SequencerStatusAnswer, wide: bool) -> String {
    let mut text = String::new();
    for stripe in sequencer.stripes.iter().filter(|stripe| !stripe.closed) {
        let on_it = |lane: &&v1::LaneState| !lane.sealed && lane.stripe == stripe.stripe;
        let count = sequencer.lanes.iter().filter(on_it).count() as u64;
        let lanes = figures::count(count, "lane", "lanes");
        let _ = writeln!(text, "{}  open  {lanes}", head(stripe));
    }
    let closed: Vec<_> = sequencer.stripes.iter().filter(|it| it.closed).collect();
    let told = if wide { CLOSED_TOLD } else { 0 };
    let (left_out, told) = closed.split_at(closed.len().saturating_sub(told));
    for stripe in told {
        let (first, last) = (stripe.first_lsn, stripe.last_lsn);
        let _ = writeln!(text, "{}  closed, LSNs {first} to {last}", head(stripe));
    }
    if wide && !left_out.is_empty() {
        let count = figures::count(left_out.len() as u64, "closed stripe", "closed stripes");
        let _ = writeln!(text, "{count} more");
    }
    let sealed = sequencer.lanes.iter().filter(|lane| lane.sealed).count();
    if wide && sealed > 0 {
        let open = sequencer.lanes.len() - sealed;
        let _ = writeln!(text, "lanes         {open} open, {sealed} sealed");
    }
    text
}

fn head(stripe: &v1::StripeState) -> String {
    let units: Vec<u64> = stripe.units.iter().map(|unit| unit.unit_id).collect();
    let (id, r, w) = (stripe.stripe, units.len(), stripe.write_quorum);
    format!("stripe {id:<6} units {units:?}  R {r}  W {w}")
}

/// As any materializer tells them.
pub(super) fn groups(seen: &Seen) -> String {
    let answers = seen.told.materializers.iter();
    let answers = answers.filter_map(|(_, answer)| answer.as_ref().ok());
    let groups: BTreeMap<u64, &v1::Group> = answers
        .flat_map(|answer| &answer.groups)
        .map(|group| (group.group, group))
        .collect();
    let mut text = String::new();
    for group in groups.into_values() {
        let redundancy = record::redundancy(group.redundancy.as_ref());
        let state = if group.closed { "closed" } else { "open" };
        let _ = writeln!(
            text,
            "group {:<7} {redundancy} {state}  units {:?}",
            group.group, group.unit_ids
        );
    }
    text
}
