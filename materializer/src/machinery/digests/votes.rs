//! Who said what of the state after an LSN, and who is the odd one: pure (FOLD-X4b).
use std::collections::BTreeMap;

use dfs_wire::v1;

/// LSNs kept: a replica that is further behind than that says something newer first.
const LSNS_MAX: usize = 8;

/// By LSN, then by node.
#[derive(Default)]
pub(crate) struct Votes {
    by_lsn: BTreeMap<u64, BTreeMap<u64, Told>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) digest: u64,
    /// Empty: not known any more.
    pub(crate) build: String,
    /// Up to there its state is that of whoever took the snapshot: a witness only of what lies above.
    pub(crate) begun_lsn: u64,
}

/// What this replica holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) node_id: u64,
    pub(crate) digest: u64,
    pub(crate) begun_lsn: u64,
}

/// What is held here, against what the replicas of the shard said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody differs, and too few have spoken.
    Open,
    /// Most hold what is held here; these nodes do not.
    Right { odd: Vec<u64> },
    /// Most hold another state than this one.
    Odd,
    /// They differ, and no side is more than half. `waits`: somebody has not spoken.
    Split { waits: bool },
}

impl Votes {
    pub(crate) fn tell(&mut self, taken: &v1::DigestTaken) {
        let told = Told {
            digest: taken.digest,
            build: taken.build.clone(),
            begun_lsn: taken.begun_lsn,
        };
        let at = self.by_lsn.entry(taken.lsn).or_default();
        at.insert(taken.node_id, told);
        if self.by_lsn.len() > LSNS_MAX {
            self.by_lsn.pop_first();
        }
    }

    /// Newest first.
    pub(crate) fn lsns(&self) -> Vec<u64> {
        self.by_lsn.keys().rev().copied().collect()
    }

    pub(crate) fn at(&self, lsn: u64) -> BTreeMap<u64, Told> {
        self.by_lsn.get(&lsn).cloned().unwrap_or_default()
    }

    /// A running digest that is right now was right before.
    pub(crate) fn forget_below(&mut self, lsn: u64) {
        self.by_lsn = self.by_lsn.split_off(&lsn);
    }
}

/// `replicas`: node ids of the set; `agreed_lsn`: up to there all have told the same. What this node said itself
/// does not count: what it holds does. A state that was begun from a snapshot above is no witness: it holds
/// whatever mistake its taker made.
pub(crate) fn verdict(
    own: Held,
    told: &BTreeMap<u64, Told>,
    replicas: &[u64],
    agreed_lsn: u64,
) -> Verdict {
    let held = own.digest;
    let mut votes: BTreeMap<u64, u64> = BTreeMap::new();
    let mut silent = false;
    for node in replicas {
        let said = told.get(node).map(|told| (told.digest, told.begun_lsn));
        let vote = match *node == own.node_id {
            true => Some((held, own.begun_lsn)),
            false => said,
        };
        silent |= vote.is_none();
        let witness = vote.filter(|(_, begun_lsn)| *begun_lsn <= agreed_lsn);
        votes.extend(witness.map(|(digest, _)| (*node, digest)));
    }
    let is_most = |digest: u64| {
        let for_it = votes.values().filter(|vote| **vote == digest).count();
        2 * for_it > replicas.len()
    };
    let differ = votes.iter().filter(|(_, vote)| **vote != held);
    let odd: Vec<u64> = differ.map(|(node, _)| *node).collect();
    if is_most(held) {
        return Verdict::Right { odd };
    }
    if votes.values().any(|vote| is_most(*vote)) {
        return Verdict::Odd;
    }
    match odd.is_empty() {
        true => Verdict::Open,
        false => Verdict::Split { waits: silent },
    }
}

/// For logs: who said what.
pub(crate) fn listed(told: &BTreeMap<u64, Told>) -> String {
    let one = |(node, told): (&u64, &Told)| match told.build.as_str() {
        "" => format!("node {node} {:016x}", told.digest),
        build => format!("node {node} {:016x} (build {build})", told.digest),
    };
    told.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: u64 = 1;
    const BAD: u64 = 2;
    const WORSE: u64 = 3;

    fn said(votes: &[(u64, u64)]) -> BTreeMap<u64, Told> {
        let told = |digest| Told {
            digest,
            build: String::new(),
            begun_lsn: 0,
        };
        votes.iter().map(|(node, d)| (*node, told(*d))).collect()
    }

    fn held_by(node_id: u64, digest: u64) -> Held {
        let begun_lsn = 0;
        Held {
            node_id,
            digest,
            begun_lsn,
        }
    }

    /// Node 3 began from a snapshot of the odd one's.
    #[test]
    fn who_began_from_anothers_snapshot_is_no_witness() {
        let mut told = said(&[(2, BAD), (3, BAD)]);
        let third = told.get_mut(&3).unwrap();
        third.begun_lsn = 100;
        let judge = |agreed| verdict(held_by(1, GOOD), &told, &[1, 2, 3], agreed);
        assert_eq!(judge(64), Verdict::Split { waits: false });
        assert_eq!(judge(128), Verdict::Odd, "all agreed behind it");
        let own = Held {
            begun_lsn: 100,
            ..held_by(1, GOOD)
        };
        let judge = |told| verdict(own, &told, &[1, 2, 3], 64);
        assert_eq!(judge(said(&[(2, GOOD)])), Verdict::Open);
        assert_eq!(judge(said(&[(2, GOOD), (3, GOOD)])), right(&[]));
        assert_eq!(judge(said(&[(2, BAD), (3, BAD)])), Verdict::Odd);
    }

    fn right(odd: &[u64]) -> Verdict {
        Verdict::Right { odd: odd.to_vec() }
    }

    #[test]
    fn of_three_most_decide() {
        let three = [1, 2, 3];
        let judge = |held, votes: &[_]| verdict(held_by(1, held), &said(votes), &three, 0);
        assert_eq!(judge(GOOD, &[]), Verdict::Open);
        assert_eq!(judge(GOOD, &[(2, GOOD)]), right(&[]));
        assert_eq!(judge(GOOD, &[(2, GOOD), (3, BAD)]), right(&[3]));
        assert_eq!(judge(BAD, &[(2, GOOD), (3, GOOD)]), Verdict::Odd);
        assert_eq!(judge(GOOD, &[(3, BAD)]), Verdict::Split { waits: true });
        let all_differ = judge(GOOD, &[(2, BAD), (3, WORSE)]);
        assert_eq!(all_differ, Verdict::Split { waits: false });
        // What it said itself before it folded again is not what it holds.
        assert_eq!(judge(GOOD, &[(1, BAD), (2, GOOD)]), right(&[]));
    }

    #[test]
    fn of_two_none_is_most() {
        let judge = |held, votes: &[_]| verdict(held_by(1, held), &said(votes), &[1, 2], 0);
        assert_eq!(judge(GOOD, &[]), Verdict::Open);
        assert_eq!(judge(GOOD, &[(2, GOOD)]), right(&[]));
        assert_eq!(judge(GOOD, &[(2, BAD)]), Verdict::Split { waits: false });
    }

    #[test]
    fn of_four_half_is_not_most() {
        let four = [1, 2, 3, 4];
        let judge = |votes: &[_]| verdict(held_by(1, GOOD), &said(votes), &four, 0);
        let halves = judge(&[(2, GOOD), (3, BAD), (4, BAD)]);
        assert_eq!(halves, Verdict::Split { waits: false });
        assert_eq!(judge(&[(2, BAD), (3, BAD), (4, BAD)]), Verdict::Odd);
    }

    #[test]
    fn who_is_no_replica_is_not_counted() {
        let judge = |own, held, votes: &[_]| verdict(held_by(own, held), &said(votes), &[1, 2], 0);
        // Node 9 told before it left the set.
        assert_eq!(judge(1, GOOD, &[(9, BAD)]), Verdict::Open);
        assert_eq!(judge(9, GOOD, &[(1, GOOD), (2, GOOD)]), right(&[]));
        assert_eq!(judge(9, BAD, &[(1, GOOD), (2, GOOD)]), Verdict::Odd);
    }

    #[test]
    fn few_lsns_are_kept() {
        let mut votes = Votes::default();
        for lsn in 1..=20 {
            let (node_id, digest) = (1, GOOD);
            votes.tell(&v1::DigestTaken {
                lsn,
                node_id,
                digest,
                ..v1::DigestTaken::default()
            });
        }
        assert_eq!(votes.lsns(), (13..=20).rev().collect::<Vec<_>>());
        votes.forget_below(19);
        assert_eq!(votes.lsns(), [20, 19]);
    }
}
