//! What is expected of a search of a model with a rule left out.

use std::fmt::Debug;

use dfs_protocol::verdict::Verdict;

/// The mutant goes wrong, in the way it is expected to.
pub(crate) fn went_wrong(mutant: impl Debug, verdict: Verdict, property: &str) {
    let fault = verdict
        .fault
        .expect("a rule is left out and nothing goes wrong");
    println!(
        "{mutant:?}: {} steps to: {}",
        fault.steps.len(),
        fault.property
    );
    assert!(
        fault.property.contains(property),
        "{mutant:?}: {}",
        fault.property
    );
}
