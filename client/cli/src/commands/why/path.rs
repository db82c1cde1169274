//! Of a path: whose it is, how far that has folded, and which of its units are away.
use crate::address;
use crate::call::Call;
use crate::failure::Outcome;
use crate::quote;
use dfs_fs::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// Units of a group, and those of them that do not serve.
struct Held {
    group: u64,
    extents: u64,
    units: Vec<u64>,
    away: Vec<u64>,
}

pub(super) async fn why(call: &Call, typed: &OsStr) -> Outcome {
    let place = call.place(typed).await?;
    let status = place.fs.status().await?;
    let seen = place.fs.stat_with_content(&place.at, place.when).await?;
    let content = seen.content.as_ref();
    let mut groups: BTreeMap<u64, u64> = BTreeMap::new();
    for extent in content.iter().flat_map(|content| &content.extents) {
        if extent.extent.is_some() {
            *groups.entry(extent.group).or_insert(0) += 1;
        }
    }
    let held: Vec<Held> = groups
        .into_iter()
        .map(|group| held(&status, group))
        .collect();
    let (owner, owned) = owner(&status);
    let away = held.iter().flat_map(|held| {
        let away = held.away.iter();
        away.map(|unit| format!("group {}: unit {unit} is away", held.group))
    });
    let away: Vec<String> = away.collect();
    let path = quote::shown(&[b"/", place.at.path()].concat());
    let in_the_way: Vec<&str> = owned["why"]
        .as_str()
        .into_iter()
        .chain(away.iter().map(String::as_str))
        .collect();
    let verdict = match in_the_way.is_empty() {
        true => format!("{path}: nothing is in its way"),
        false => format!("{path}: {}", in_the_way.join("; ")),
    };
    let mut lines = vec![verdict.clone(), format!("  {owner}")];
    lines.push(format!(
        "  version lsn {}, read at lsn {}",
        seen.value.lsn, seen.lsn
    ));
    lines.extend(held.iter().map(|held| {
        let units = super::lsn::listed(&held.units);
        format!(
            "  group {} on units {units}, extents {}",
            held.group, held.extents
        )
    }));
    let fields = json!({
        "verdict": verdict, "shard": owned, "version": seen.value.lsn,
        "groups": held.iter().map(to_json).collect::<Vec<_>>(),
    });
    let name = address::escape(place.at.path());
    call.output
        .data("Why", seen.lsn, fields, &name, &lines.join("\n"))
}

fn held(status: &Status, (group, extents): (u64, u64)) -> Held {
    let answers = status
        .materializers
        .iter()
        .filter_map(|(_, told)| told.as_ref().ok());
    let known = answers
        .flat_map(|told| &told.groups)
        .find(|known| known.group == group);
    let units = known.map_or_else(Vec::new, |known| known.unit_ids.clone());
    let members = status.sequencer.members.iter().flat_map(|all| &all.units);
    let live: Vec<u64> = members
        .filter(|unit| unit.live)
        .map(|unit| unit.unit_id)
        .collect();
    let away = units
        .iter()
        .copied()
        .filter(|unit| !live.contains(unit))
        .collect();
    Held {
        group,
        extents,
        units,
        away,
    }
}

fn to_json(held: &Held) -> Value {
    json!({ "group": held.group, "extents": held.extents, "units": held.units, "away": held.away })
}

/// The primary of the shard that the path is in; while there is one shard, of that.
fn owner(status: &Status) -> (String, Value) {
    let end = status.sequencer.next_lsn;
    let told = status
        .materializers
        .iter()
        .filter_map(|(member, told)| Some((member, told.as_ref().ok()?)));
    let primary = told.into_iter().find(|(_, told)| told.role == "primary");
    let Some((member, told)) = primary else {
        let why = "shard 0 has no primary that answers";
        return (why.to_owned(), json!({ "shard": 0, "why": why }));
    };
    let (shard, term, applied, node) = (told.shard, told.term, told.applied_lsn, member.node_id);
    let line = format!(
        "shard {shard}, primary materializer {node} at {}, term {term}, folded up to {applied}; the log ends before {end}",
        member.address
    );
    let lags = (applied + 1 < end).then(|| {
        format!(
            "shard {shard} has folded up to {applied}, {} to go",
            end - 1 - applied
        )
    });
    let halted =
        (!told.halted.is_empty()).then(|| format!("shard {shard} is halted: {}", told.halted));
    let fields = json!({
        "shard": shard, "primary": node, "address": member.address, "term": term,
        "applied_lsn": applied, "next_lsn": end, "why": halted.or(lags),
    });
    (line, fields)
}
