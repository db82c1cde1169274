//! For tests: the suite that every shared log passes, and a cluster in memory to run the real client on.
mod conformance;
mod fake_cluster;
mod fake_moves;
mod fake_sequencer;
mod fake_unit;

pub use conformance::{Rig, run};
pub use fake_cluster::{FakeCluster, Fault};
