//! What Prometheus and Grafana are given (deploy/alerts, deploy/dashboards, deploy/runbook), read and compared.
//!
//! - [`rules`]: alerts and what they ask; [`dashboards`]: panels and what they ask
//! - [`names`]: the figures that a query names, and those that deploy/METRICS.md has
//! - [`hurry`]: rules with shorter durations, for those who cannot wait
//! - [`faults`]: what is done to a cluster, and which alerts have to fire then
//!
//! Invariants, each a test: S1 every figure that is asked for is in METRICS.md, or recorded by a rule. S2 every alert
//! has its runbook, every runbook its alert. S3 every alert has a fault that fires it.
pub mod dashboards;
pub mod faults;
pub mod hurry;
pub mod names;
pub mod rules;

use std::path::PathBuf;

/// `deploy/` of this source tree.
pub fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}
