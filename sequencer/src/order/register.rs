//! Register: a process and its units get their ids, once (LOG-D1).
use crate::order::command::{Register, RegisterUnit};
use crate::order::{Effects, Member, Order, Outcome, Unit};
use dfs_wire::Code;
use dfs_wire::v1::UnitState;

impl Order {
    /// Idempotent per (node nonce, slot, unit nonce). A known id with another nonce is refused; an
    /// emptied directory on the same slot is a new unit, and the former one is Dead.
    pub(super) fn register(&mut self, register: &Register) -> Effects {
        let known = self
            .members
            .iter()
            .find(|(_, member)| member.nonce == register.node_nonce);
        let known = known.map(|(id, _)| *id);
        if register.node_id != 0 && known != Some(register.node_id) {
            return Effects::refused(
                Code::Mismatch,
                format!("node {}", register.node_id),
                "this cluster knows that id with another nonce, or not at all",
            );
        }
        let node_id = known.unwrap_or_else(|| next_id(self.members.keys()));
        if self
            .members
            .get(&node_id)
            .is_some_and(|member| member.removed)
        {
            let what = format!("node {node_id}");
            let why = "it was removed for good: an empty directory makes it another one";
            return Effects::refused(Code::State, what, why);
        }
        if let Some(refused) = self.misplaced(node_id, &register.units) {
            return refused;
        }
        let before = self.units.clone();
        let member = member_of(register);
        let former = self.members.insert(node_id, member.clone());
        let unit_ids = register
            .units
            .iter()
            .map(|unit| self.register_unit(node_id, unit))
            .collect();
        Effects {
            outcome: Outcome::Registered { node_id, unit_ids },
            events: Vec::new(),
            members_changed: former != Some(member) || before != self.units,
        }
    }

    /// A unit's directory stays with its node and slot; two directories cannot be one unit.
    fn misplaced(&self, node_id: u64, units: &[RegisterUnit]) -> Option<Effects> {
        for (position, unit) in units.iter().enumerate() {
            let what = format!("unit slot {}", unit.slot);
            let twice = |other: &RegisterUnit| other.slot == unit.slot || other.nonce == unit.nonce;
            if units[..position].iter().any(twice) {
                return Some(Effects::refused(
                    Code::Invalid,
                    what,
                    "slot or nonce named twice",
                ));
            }
            let known = self.units.values().find(|known| known.nonce == unit.nonce);
            let moved = |known: &&Unit| (known.node_id, known.slot) != (node_id, unit.slot);
            if let Some(known) = known.filter(moved) {
                let (node, slot) = (known.node_id, known.slot);
                let why = format!("its directory belongs to slot {slot} of node {node}");
                return Some(Effects::refused(Code::Mismatch, what, why));
            }
        }
        None
    }

    /// The unit of this nonce is the live one of its slot from here on; every other one is Dead.
    fn register_unit(&mut self, node_id: u64, register: &RegisterUnit) -> u64 {
        let mut found = None;
        for (id, unit) in &mut self.units {
            if (unit.node_id, unit.slot) != (node_id, register.slot) {
                continue;
            }
            if unit.nonce == register.nonce {
                found = Some(*id);
                if unit.state() == UnitState::Dead && !unit.removed {
                    unit.set_state(UnitState::Active);
                }
            } else {
                unit.set_state(UnitState::Dead);
            }
        }
        if let Some(id) = found {
            return id;
        }
        let id = next_id(self.units.keys());
        let mut unit = Unit {
            node_id,
            slot: register.slot,
            ..Unit::default()
        };
        unit.nonce.clone_from(&register.nonce);
        unit.set_state(UnitState::Active);
        self.units.insert(id, unit);
        id
    }
}

/// Rows are never removed, so the largest id was also the last one given.
pub(super) fn next_id<'a>(ids: impl DoubleEndedIterator<Item = &'a u64>) -> u64 {
    ids.last().copied().unwrap_or(0) + 1
}

fn member_of(register: &Register) -> Member {
    Member {
        nonce: register.node_nonce.clone(),
        incarnation: register.incarnation,
        roles: register.roles.clone(),
        address: register.address.clone(),
        rack: register.rack.clone(),
        rank: register.rank,
        removed: false,
    }
}
