//! Every member by role: its state, how far it is, and the room that it has.
use super::{Seen, unit_state};
use crate::figures;
use crate::output::{Column, aligned_text};
use dfs_wire::v1;

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: String,
    /// `None`: nobody says so.
    pub(super) live: Option<bool>,
    /// The last LSN, or raft index of a sequencer, that it has.
    end: Option<u64>,
    /// Records, or raft entries of a sequencer, that it has not.
    lag: Option<u64>,
    used: Option<u64>,
    free: Option<u64>,
    address: String,
}

pub(super) fn to_text(seen: &Seen) -> String {
    let columns = [
        Column::text("MEMBER"),
        Column::text("STATE"),
        Column::text("LIVE"),
        Column::figure("END"),
        Column::figure("LAG"),
        Column::figure("USED"),
        Column::figure("FREE"),
        Column::text("ADDRESS"),
    ];
    let rows = rows(seen).into_iter().map(Row::cells).collect();
    aligned_text(&columns, rows)
}

impl Row {
    fn cells(self) -> Vec<String> {
        let figure = |figure: Option<u64>| figure.map_or("-".into(), figures::thousands);
        let bytes = |bytes: Option<u64>| bytes.map_or("-".into(), figures::bytes);
        let live = match self.live {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        vec![
            self.name,
            self.state,
            live.into(),
            figure(self.end),
            figure(self.lag),
            bytes(self.used),
            bytes(self.free),
            self.address,
        ]
    }
}

pub(super) fn rows(seen: &Seen) -> Vec<Row> {
    let group = &seen.group;
    let sequencers = group.group.iter().map(|member| sequencer(seen, member));
    let mut rows: Vec<Row> = sequencers.collect();
    let units = seen.told.units.iter();
    rows.extend(units.map(|(unit, told)| of_unit(unit, told.as_ref().ok())));
    for (member, told) in &seen.told.materializers {
        rows.push(materializer(seen, member, told.as_ref().ok()));
    }
    rows
}

fn sequencer(seen: &Seen, member: &v1::GroupMember) -> Row {
    let state = match (member.leads, member.is_voter) {
        (true, _) => "leader",
        (false, true) => "follower",
        (false, false) => "learner",
    };
    // Only the leader knows how far the others are.
    let known = |figure: u64| seen.is_led().then_some(figure);
    let matched = match member.leads {
        true => seen.group.last_index,
        false => member.matched_index,
    };
    Row {
        name: format!("sequencer/{}", member.id),
        state: state.into(),
        live: seen.is_led().then_some(member.live || member.leads),
        end: known(matched),
        lag: known(seen.group.last_index.saturating_sub(matched)),
        address: member.address.clone(),
        ..Row::default()
    }
}

fn of_unit(unit: &v1::UnitRef, told: Option<&v1::UnitStatusAnswer>) -> Row {
    Row {
        name: format!("unit/{}", unit.unit_id),
        state: unit_state(unit.state).into(),
        live: Some(unit.live),
        end: None,
        lag: told.map(|told| told.records_behind),
        used: told.map(|told| told.log_bytes.saturating_add(told.extent_bytes)),
        free: told.map(|told| told.available_bytes),
        address: unit.address.clone(),
    }
}

fn materializer(
    seen: &Seen,
    member: &v1::Member,
    told: Option<&v1::MaterializerStatusAnswer>,
) -> Row {
    let state = match told {
        None => "silent",
        Some(told) if !told.halted.is_empty() => "halted",
        Some(told) if !told.doubt.is_empty() => "doubted",
        Some(told) => told.role.as_str(),
    };
    // Of one that says nothing it is what its last beat said.
    let applied = told.map_or(member.applied_lsn, |told| told.applied_lsn);
    Row {
        name: format!("materializer/{}", member.node_id),
        state: state.into(),
        live: Some(!member.gone),
        end: Some(applied),
        lag: Some(seen.last_lsn().saturating_sub(applied)),
        address: member.address.clone(),
        ..Row::default()
    }
}

/// Of all units together: what they keep, what is free on their disks, and those disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) units: u64,
    pub(super) log: u64,
    pub(super) extents: u64,
    pub(super) available: u64,
    pub(super) total: u64,
}

impl Capacity {
    pub(super) fn of(seen: &Seen) -> Capacity {
        let told = seen.told.units.iter();
        let told = told.filter_map(|(_, told)| told.as_ref().ok());
        told.fold(Capacity::default(), |sum, told| Capacity {
            units: sum.units + 1,
            log: sum.log.saturating_add(told.log_bytes),
            extents: sum.extents.saturating_add(told.extent_bytes),
            available: sum.available.saturating_add(told.available_bytes),
            total: sum.total.saturating_add(told.total_bytes),
        })
    }

    /// Units that share a disk each count it.
    pub(super) fn line(self) -> String {
        format!(
            "log {}, files {}; free {} of {} on the disks of {}",
            figures::bytes(self.log),
            figures::bytes(self.extents),
            figures::bytes(self.available),
            figures::bytes(self.total),
            figures::count(self.units, "unit", "units")
        )
    }
}
