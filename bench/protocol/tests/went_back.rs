//! How far LOG-U9 reaches when a journal goes back: to what W units have stamped, and not beyond.

use dfs_protocol::verdict::{Search, Verdict, search};
use dfs_protocol::went_back::WentBack;

fn searched(stamped_before_read: usize, leader_trusts_itself: bool) -> Verdict {
    let model = WentBack {
        stamped_before_read,
        leader_trusts_itself,
    };
    let verdict = search(model, Search::ToFirstFault);
    println!("{model:?}: {verdict}");
    verdict
}

#[test]
fn what_w_units_have_stamped_is_never_given_away_again() {
    assert!(searched(2, false).is_good());
}

#[test]
fn a_leader_that_does_not_judge() {
    assert!(searched(2, true).fault.is_some());
}

/// The rule as it stands lets a reader apply a cut that no unit has stamped yet, and any W units hide
/// from the leader a stamp that the others hold: both leave a way to two histories.
#[test]
fn what_fewer_have_stamped_can_be_given_away_again() {
    assert!(searched(0, false).fault.is_some());
    assert!(searched(1, false).fault.is_some());
}
