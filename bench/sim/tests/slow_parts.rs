//! E5: what is slow by 50 ms a message is felt where it is, and nowhere else.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dfs_sim::slow_parts;

/// With six units, so two stripes. A timer of the simulation is a millisecond, so is each of some ten
/// messages that a record waits for.
const SEED: u64 = 15;

#[test]
fn slow_parts_stay_local() {
    let compared = slow_parts(SEED).unwrap();
    for one in &compared {
        let (healthy, slow) = (one.healthy, one.slow);
        let times = slow.p99_us as f64 / healthy.p99_us as f64;
        let of_all = slow.appends as f64 / healthy.appends as f64;
        match one.what {
            "one unit slow: lanes on its stripe" => assert!(times < 2.0, "{one:?}"),
            "one stripe slow: its own lanes" => assert!(times > 3.0, "not slow at all: {one:?}"),
            "one stripe slow: lanes elsewhere" => assert!(times < 1.2, "{one:?}"),
            "one appender stalled: the others" => assert!(times < 1.1, "{one:?}"),
            what => panic!("nobody judges {what}"),
        }
        assert!(healthy.appends > 100 && of_all > 0.99, "{one:?}");
    }
    assert_eq!(compared.len(), 4);
}
