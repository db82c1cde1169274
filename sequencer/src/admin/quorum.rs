//! Whether a voter may leave: pure.
use std::collections::BTreeSet;

/// A group of so many goes on when one of them is lost.
const SAFE_VOTERS_MIN: usize = 3;

pub(super) fn majority(of: usize) -> usize {
    of / 2 + 1
}

/// Why `leaving` must stay; `force` allows what is only unwise.
pub(super) fn objection(
    voters: &BTreeSet<u64>,
    live: &BTreeSet<u64>,
    leaving: u64,
    force: bool,
) -> Option<String> {
    let there = voters.intersection(live).count();
    let left: BTreeSet<u64> = voters.iter().copied().filter(|id| *id != leaving).collect();
    let left_there = left.intersection(live).count();
    if left.is_empty() {
        return Some("it is the only voter: the order of the whole log would be gone".into());
    }
    if there < majority(voters.len()) {
        let (needed, all) = (majority(voters.len()), voters.len());
        return Some(format!(
            "only {there} of {all} voters answer, {needed} must agree"
        ));
    }
    if left_there < majority(left.len()) {
        let (needed, all) = (majority(left.len()), left.len());
        return Some(format!(
            "of the {all} voters that would be left only {left_there} answer, {needed} are needed to go on"
        ));
    }
    if voters.len() < SAFE_VOTERS_MIN && !force {
        return Some(format!(
            "of {} voters one would be left: nothing would survive its loss",
            voters.len()
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::objection;
    use std::collections::BTreeSet;

    fn may_leave(voters: u64, dead: &[u64], leaving: u64, force: bool) -> bool {
        let voters: BTreeSet<u64> = (1..=voters).collect();
        let live = voters.iter().copied().filter(|id| !dead.contains(id));
        objection(&voters, &live.collect(), leaving, force).is_none()
    }

    #[test]
    fn those_that_are_left_must_be_able_to_go_on() {
        assert!(may_leave(5, &[], 5, false));
        assert!(may_leave(3, &[], 3, false));
        assert!(may_leave(3, &[3], 3, false), "the dead one");
        assert!(!may_leave(3, &[3], 2, false), "one of two that live");
        assert!(!may_leave(3, &[3], 2, true), "nor by force");
        assert!(may_leave(5, &[4, 5], 5, false));
        assert!(!may_leave(5, &[4, 5], 3, true));
        assert!(!may_leave(3, &[2, 3], 3, true), "nobody could agree");
        assert!(!may_leave(2, &[], 2, false), "a single one is left");
        assert!(may_leave(2, &[], 2, true));
        assert!(!may_leave(2, &[2], 2, true), "nobody could agree");
        assert!(!may_leave(1, &[], 1, true));
    }
}
