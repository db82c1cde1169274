//! Negative controls: each broken rule must be caught, or the judge proves nothing.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::power::steps;
use super::{Sabotage, damage, power};

/// Runs with fixed seeds until the judge objects.
fn objection(mut run: impl FnMut(u64, &mut TestRunner) -> Result<(), String>) -> Option<String> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..100).find_map(|seed| {
        run(seed, &mut runner)
            .err()
            .map(|e| format!("seed {seed}: {e}"))
    })
}

fn drawn<S: Strategy>(strategy: S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).expect("no filters").current()
}

fn crashes_with(sabotage: Option<Sabotage>) -> Option<String> {
    objection(|seed, runner| power::run(seed, &drawn(steps(), runner), sabotage))
}

fn damage_with(sabotage: Option<Sabotage>) -> Option<String> {
    objection(|seed, runner| {
        let (steps, harms) = (drawn(steps(), runner), drawn(damage::harms(), runner));
        damage::run(seed, &steps, &harms, sabotage)
    })
}

#[test]
fn the_unbroken_stream_passes() {
    assert_eq!(crashes_with(None), None);
    assert_eq!(damage_with(None), None);
}

#[test]
fn a_mark_before_its_sync_is_caught() {
    assert!(crashes_with(Some(Sabotage::MarkBeforeSync)).is_some());
}

#[test]
fn a_reader_without_marks_is_caught() {
    assert!(damage_with(Some(Sabotage::IgnoreMarks)).is_some());
}

#[test]
fn an_unfinished_rewrite_that_counts_is_caught() {
    assert!(crashes_with(Some(Sabotage::TrustUnfinishedRewrite)).is_some());
}
