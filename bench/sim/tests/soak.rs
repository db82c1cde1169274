//! E9, E10: log, journal and store stay flat under overwrites, and an empty replica serves meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dfs_sim::{Look, soak};
use std::time::Duration;

/// The most of some of the looks.
fn most(looks: &[Look], of: impl Fn(&Look) -> u64) -> u64 {
    looks.iter().map(of).max().unwrap()
}

/// Ten times as many overwrites as there are versions to keep. `dfs-sim --soak 60` is the hour.
#[test]
fn bounded_history_stays_bounded() {
    let soaked = soak(1, Duration::from_secs(200));
    assert!(soaked.faults.is_empty(), "{:?}", soaked.faults);
    let (first, later) = soaked.looks.split_at(soaked.looks.len() / 2);
    let (early, last) = (first[first.len() - 1], later[later.len() - 1]);
    // It is let go of: most of what was written cannot be read any more, neither in the log nor by reads.
    assert!(last.trim_lsn > early.next_lsn, "{last:?}");
    assert!(last.floor_lsn > early.next_lsn, "{last:?}");
    for (what, of) in [
        ("log", (|look| look.log_bytes) as fn(&Look) -> u64),
        ("journal", |look| look.journal_bytes),
        ("store", |look| look.snapshot_bytes),
    ] {
        let (before, after) = (most(first, of), most(later, of));
        assert!(
            after <= before + before / 4,
            "{what}: {before} became {after} bytes"
        );
    }
    assert!(soaked.served_after.len() > 2, "{:?}", soaked.served_after);
}
