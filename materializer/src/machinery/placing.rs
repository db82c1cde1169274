//! Which groups are offered, opened and closed (FOLD-B0): from policy, groups and members alone.
use std::collections::{BTreeMap, BTreeSet};

use dfs_wire::v1::redundancy::Rule;
use dfs_wire::{Code, Refusal, v1};

/// Open groups kept per redundancy, so that load spreads over the units.
const GROUPS_OPEN: usize = 4;
/// Above this many open ones, failures must be of another kind than what a new group cures.
const GROUPS_OPEN_MAX: usize = 64;
/// Whole copies a group may ask for: more than anybody's racks.
const COPIES_MAX: u32 = 16;

/// The units as Members says.
pub(crate) struct Units<'a> {
    by_id: BTreeMap<u64, &'a v1::UnitRef>,
}

impl<'a> Units<'a> {
    pub(crate) fn new(members: &'a v1::Members) -> Units<'a> {
        Units {
            by_id: members
                .units
                .iter()
                .map(|unit| (unit.unit_id, unit))
                .collect(),
        }
    }

    fn is_well(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|unit| is_well(unit))
    }

    fn is_full(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|unit| unit.full)
    }

    /// For new groups.
    fn candidates(&self) -> Vec<&'a v1::UnitRef> {
        self.by_id
            .values()
            .copied()
            .filter(|unit| is_well(unit) && !unit.full)
            .collect()
    }

    pub(crate) fn of(&self, groups: &[v1::Group]) -> Vec<v1::UnitRef> {
        let ids: BTreeSet<u64> = groups
            .iter()
            .flat_map(|group| group.unit_ids.clone())
            .collect();
        ids.iter()
            .filter_map(|id| self.by_id.get(id))
            .map(|unit| (*unit).clone())
            .collect()
    }

    /// Fewer have its bytes than its redundancy asks for. Who is away comes back; who is Dead or unknown does not.
    pub(crate) fn is_short(&self, group: &v1::Group) -> bool {
        let is_left = |id: &&u64| {
            let unit = self.by_id.get(id);
            unit.is_some_and(|unit| unit.state() != v1::UnitState::Dead)
        };
        let left = group.unit_ids.iter().filter(is_left).count();
        let wanted = group.redundancy.as_ref().map(copies);
        // Before anything is heard of units, none is missed.
        let heard = !self.by_id.is_empty();
        heard && wanted.is_some_and(|wanted| wanted.is_ok_and(|copies| left < copies as usize))
    }

    /// A member of the group is not live and Active.
    pub(crate) fn is_broken(&self, group: &v1::Group) -> bool {
        group.unit_ids.iter().any(|id| !self.is_well(*id))
    }

    /// Waiting cures nothing: a member is Dead, read-only, draining or unknown.
    pub(crate) fn is_dead(&self, group: &v1::Group) -> bool {
        let is_active = |id: &u64| {
            self.by_id
                .get(id)
                .is_some_and(|unit| unit.state() == v1::UnitState::Active)
        };
        !group.unit_ids.iter().all(is_active)
    }
}

fn is_well(unit: &v1::UnitRef) -> bool {
    unit.live && unit.state() == v1::UnitState::Active
}

/// Open groups of this redundancy that a writer can use now, whole ones before under-replicated ones.
pub(crate) fn offered(
    groups: &[v1::Group],
    rule: &v1::Redundancy,
    units: &Units<'_>,
    failed: &[u64],
) -> Vec<v1::Group> {
    let fits = |group: &&v1::Group| {
        !group.closed
            && group.redundancy.as_ref() == Some(rule)
            && !failed.contains(&group.group)
            && group
                .unit_ids
                .iter()
                .all(|id| units.is_well(*id) && !units.is_full(*id))
    };
    let mut fitting: Vec<v1::Group> = groups.iter().filter(fits).cloned().collect();
    let whole = fitting.iter().any(|group| !group.under_replicated);
    fitting.retain(|group| !whole || !group.under_replicated);
    fitting.truncate(GROUPS_OPEN);
    fitting
}

/// Whether another group should be opened beside the usable ones.
pub(crate) fn wants_more(usable: &[v1::Group], rule: &v1::Redundancy, units: &Units<'_>) -> bool {
    let candidates = units.candidates().len();
    let whole = usable
        .iter()
        .filter(|group| !group.under_replicated)
        .count();
    let copies = copies(rule).unwrap_or(u32::MAX) as usize;
    candidates >= copies && whole < GROUPS_OPEN.min(candidates)
}

/// A group that can be opened now. Its id is given by the plan.
pub(crate) fn new_group(
    groups: &[v1::Group],
    rule: &v1::Redundancy,
    units: &Units<'_>,
) -> Result<v1::Group, Refusal> {
    let copies = copies(rule)? as usize;
    let open: Vec<&v1::Group> = groups.iter().filter(|group| !group.closed).collect();
    let candidates = units.candidates();
    let least = if copies >= 3 { 2 } else { copies };
    if candidates.len() < least {
        return Err(too_few(units, candidates.len(), copies));
    }
    if open.len() >= GROUPS_OPEN_MAX {
        let why = format!("{GROUPS_OPEN_MAX} groups are open and none of them serves");
        return Err(Refusal::new(Code::Unavailable, "placement", why));
    }
    let mut unit_ids = choose(candidates, copies, &open);
    let turn = groups.len() % unit_ids.len();
    unit_ids.rotate_left(turn);
    Ok(v1::Group {
        group: 0,
        generation: 1,
        redundancy: Some(*rule),
        under_replicated: unit_ids.len() < copies,
        unit_ids,
        closed: false,
    })
}

/// Distinct racks first, then units with few open groups, then those with most room.
fn choose(mut candidates: Vec<&v1::UnitRef>, copies: usize, open: &[&v1::Group]) -> Vec<u64> {
    let load = |id: u64| {
        open.iter()
            .filter(|group| group.unit_ids.contains(&id))
            .count()
    };
    let (mut chosen, mut racks) = (Vec::new(), BTreeMap::<&str, usize>::new());
    while chosen.len() < copies && !candidates.is_empty() {
        let best = candidates.iter().enumerate().min_by_key(|(_, unit)| {
            let in_rack = racks.get(unit.rack.as_str()).copied().unwrap_or(0);
            (
                in_rack,
                load(unit.unit_id),
                std::cmp::Reverse(unit.available_bytes),
                unit.unit_id,
            )
        });
        let Some((at, unit)) = best else { break };
        chosen.push(unit.unit_id);
        *racks.entry(unit.rack.as_str()).or_default() += 1;
        candidates.remove(at);
    }
    chosen
}

fn copies(rule: &v1::Redundancy) -> Result<u32, Refusal> {
    match rule.rule {
        Some(Rule::Replicated(copies)) if (1..=COPIES_MAX).contains(&copies) => Ok(copies),
        Some(Rule::Replicated(copies)) => {
            let why = format!("replicated({copies}): 1 to {COPIES_MAX} copies are possible");
            Err(Refusal::new(Code::Invalid, "placement", why))
        }
        Some(Rule::Rs(_)) => {
            let why = "this build places whole copies only, no erasure coding";
            Err(Refusal::new(Code::Invalid, "placement", why))
        }
        None => Err(Refusal::new(
            Code::Invalid,
            "placement",
            "no redundancy is named",
        )),
    }
}

fn too_few(units: &Units<'_>, candidates: usize, copies: usize) -> Refusal {
    let full = units
        .by_id
        .values()
        .filter(|unit| is_well(unit) && unit.full)
        .count();
    let why =
        format!("{copies} copies, and {candidates} units are live with room, {full} are full");
    let code = if full > 0 {
        Code::NoSpace
    } else {
        Code::Unavailable
    };
    Refusal::new(code, "placement", why)
}
