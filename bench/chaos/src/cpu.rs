//! Where the CPU goes while nothing is done to the processes: role by role, for each acknowledged operation.
use crate::cluster::{Cluster, Role};
use std::collections::BTreeMap;

/// µs of CPU so far, user and system, of all processes of a role; the clients are this process.
pub(crate) fn used_us(cluster: &Cluster) -> BTreeMap<&'static str, f64> {
    let mut used = BTreeMap::from([("clients", of_process("self"))]);
    for process in cluster.members() {
        let role = match process.role {
            Role::Sequencer => "sequencers",
            Role::Unit => "units",
            Role::Materializer => "materializers",
        };
        let id = process.id().map(|id| id.to_string()).unwrap_or_default();
        *used.entry(role).or_default() += of_process(&id);
    }
    used
}

/// What came between the two, for each of so many operations.
pub(crate) fn each_us(
    before: &BTreeMap<&'static str, f64>,
    after: &BTreeMap<&'static str, f64>,
    operations: usize,
) -> BTreeMap<String, f64> {
    let since = |role: &&'static str| after[role] - before.get(role).unwrap_or(&0.0);
    let roles = after.keys();
    roles
        .map(|role| (role.to_string(), since(role) / operations.max(1) as f64))
        .collect()
}

/// From /proc; 0 where there is none.
fn of_process(id: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let ticks = ticks_of(&stat).unwrap_or(0);
    ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64
}

/// proc(5): utime and stime are the 14th and 15th field; the 2nd, a name, may hold anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::{each_us, ticks_of};
    use std::collections::BTreeMap;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194560 110 0 0 0 30 12 0 0 20 0 1 0 99 5 6";
        assert_eq!(ticks_of(stat), Some(42));
        assert_eq!(ticks_of("7 (a"), None);
        let (before, after) = (BTreeMap::from([("units", 100.0)]), [("units", 400.0)]);
        let each = each_us(&before, &after.into(), 3);
        assert_eq!(each, BTreeMap::from([("units".into(), 100.0)]));
    }
}
