//! One line of `node list`: a role of the cluster, as its leader sees it.
use super::named::Named;
use crate::output::{Column, Item};
use dfs_wire::v1;
use serde_json::json;

pub(super) struct Row {
    pub(super) name: Named,
    pub(super) node_id: u64,
    pub(super) address: String,
    pub(super) state: &'static str,
    pub(super) live: bool,
    rack: String,
    pub(super) applied: Option<u64>,
    pub(super) matched: Option<u64>,
    pub(super) lag: Option<u64>,
}

pub(super) fn columns(wide: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::text("NAME"),
        Column::text("STATE"),
        Column::text("LIVE"),
        Column::figure("LAG"),
        Column::figure("NODE"),
        Column::text("ADDRESS"),
    ];
    if wide {
        columns.extend([
            Column::figure("APPLIED"),
            Column::figure("MATCHED"),
            Column::text("RACK"),
        ]);
    }
    columns
}

impl Row {
    pub(super) fn item(&self, wide: bool) -> Item {
        let figure = |figure: Option<u64>| figure.map_or("-".into(), |figure| figure.to_string());
        let mut cells = vec![
            self.name.to_string(),
            self.state.into(),
            if self.live { "yes" } else { "no" }.into(),
            figure(self.lag),
            if self.node_id == 0 {
                "-".into()
            } else {
                self.node_id.to_string()
            },
            self.address.clone(),
        ];
        if wide {
            cells.extend([
                figure(self.applied),
                figure(self.matched),
                self.rack.clone(),
            ]);
        }
        Item {
            json: json!({
                "name": self.name.to_string(), "state": self.state, "live": self.live,
                "node_id": self.node_id, "address": self.address, "rack": self.rack,
                "applied": self.applied, "matched": self.matched, "lag": self.lag,
            }),
            name: self.name.to_string().into_bytes(),
            cells,
        }
    }
}

/// Sequencers, then units, then materializers, then processes that wait to be added.
pub(super) fn rows(status: &v1::GroupStatus) -> Vec<Row> {
    let members = status.members.clone().unwrap_or_default();
    let mut rows: Vec<Row> = status
        .group
        .iter()
        .map(|member| sequencer(status, &members, member))
        .collect();
    rows.extend(members.units.iter().map(unit));
    let runs = |member: &&v1::Member, role: &str| {
        !member.removed && member.roles.iter().any(|own| own == role)
    };
    let materializers = members.members.iter();
    let materializers = materializers.filter(|member| runs(member, "materializer"));
    rows.extend(materializers.map(|member| materializer(status, member)));
    let known = |member: &&v1::Member| {
        let mut group = status.group.iter();
        !group.any(|at| at.address == member.address)
    };
    let waiting = members.members.iter();
    let waiting = waiting.filter(|member| runs(member, "sequencer") && known(member));
    rows.extend(waiting.map(|member| Row {
        state: "outside",
        ..process(Named::Node(member.node_id), member)
    }));
    rows
}

fn process(name: Named, member: &v1::Member) -> Row {
    Row {
        name,
        node_id: member.node_id,
        address: member.address.clone(),
        state: "active",
        live: !member.gone,
        rack: member.rack.clone(),
        applied: None,
        matched: None,
        lag: None,
    }
}

fn sequencer(status: &v1::GroupStatus, all: &v1::Members, member: &v1::GroupMember) -> Row {
    let state = match (member.leads, member.is_voter) {
        (true, _) => "leader",
        (false, true) => "voter",
        (false, false) => "learner",
    };
    let mut processes = all.members.iter();
    let process = processes.find(|process| process.node_id == member.node_id);
    Row {
        name: Named::Sequencer(member.id),
        node_id: member.node_id,
        address: member.address.clone(),
        state,
        live: member.live,
        rack: process
            .map(|process| process.rack.clone())
            .unwrap_or_default(),
        applied: Some(member.applied_index),
        matched: Some(member.matched_index),
        lag: Some(status.committed_index.saturating_sub(member.applied_index)),
    }
}

fn unit(unit: &v1::UnitRef) -> Row {
    Row {
        name: Named::Unit(unit.unit_id),
        node_id: unit.node_id,
        address: unit.address.clone(),
        state: crate::status::unit_state(unit.state),
        live: unit.live,
        rack: unit.rack.clone(),
        applied: None,
        matched: None,
        lag: None,
    }
}

fn materializer(status: &v1::GroupStatus, member: &v1::Member) -> Row {
    let last = status.next_lsn.saturating_sub(1);
    Row {
        applied: Some(member.applied_lsn),
        lag: Some(last.saturating_sub(member.applied_lsn)),
        ..process(Named::Materializer(member.node_id), member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_row_and_a_process_that_waits_too() {
        let member = |node_id: u64, role: &str| v1::Member {
            node_id,
            roles: vec![role.into()],
            address: format!("h{node_id}:1"),
            applied_lsn: 5,
            ..v1::Member::default()
        };
        let unit = v1::UnitRef {
            unit_id: 3,
            node_id: 2,
            ..v1::UnitRef::default()
        };
        let leader = v1::GroupMember {
            id: 1,
            address: "h1:1".into(),
            is_voter: true,
            leads: true,
            applied_index: 7,
            ..v1::GroupMember::default()
        };
        let status = v1::GroupStatus {
            committed_index: 9,
            next_lsn: 8,
            group: vec![leader],
            members: Some(v1::Members {
                members: vec![
                    member(1, "sequencer"),
                    member(4, "materializer"),
                    member(5, "sequencer"),
                ],
                units: vec![unit],
            }),
            ..v1::GroupStatus::default()
        };
        let told: Vec<_> = rows(&status)
            .iter()
            .map(|row| (row.name.to_string(), row.state, row.lag))
            .collect();
        let row = |name: &str, state, lag| (name.to_string(), state, lag);
        assert_eq!(
            told,
            [
                row("sequencer/1", "leader", Some(2)),
                row("unit/3", "unknown", None),
                row("materializer/4", "active", Some(2)),
                row("node/5", "outside", None),
            ]
        );
    }
}
