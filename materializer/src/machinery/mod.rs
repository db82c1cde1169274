//! What waits, calls the pure part, and carries out what it says.
//!
//! - `role.rs`: [`MaterializerRole`], started from [`MaterializerConfig`]; `open.rs`: its store
//! - `shard.rs`: the one loop that folds, answers what was folded, and calls `planning.rs`; `ops.rs`: what it works on
//! - `refusals.rs`: how a refusal becomes true
//! - `terms.rs`: who owns the shard; `upkeep.rs`: sessions, replicas, groups and ticks of the primary
//! - `sessions.rs`, `placing.rs`: leases and slots, choice of groups: pure tables of the loop
//! - `unreadable.rs`: what is said while the log cannot be read on
//! - `digests.rs`, `digests/`: replicas compare what they folded; `suspect.rs`: what becomes of a wrong state
//! - `snapshots.rs`: the state as extents of the system, taken by the primary, loaded by whoever has nothing
//! - `census.rs`: which groups with units away hold nothing any more
//! - `sweep.rs`: rows below the floor are let go of
//! - `streams.rs`: requests in, answers out; `reads.rs`, `views.rs`, `refold.rs`: reads, off the loop
//! - `published.rs`: what the loop has folded, for everybody else
//! - `metrics.rs`: what is counted, and told; `traced.rs`: spans of sampled requests
//! - `hub.rs`: what the tasks of the role hold in common; `persist.rs`: fsync of the store, beside the loop
mod census;
mod config;
mod digests;
mod hub;
mod metrics;
mod open;
mod ops;
mod persist;
mod placing;
mod planning;
mod published;
mod reads;
mod refold;
mod refusals;
mod role;
mod sessions;
mod shard;
mod snapshots;
mod streams;
mod suspect;
mod sweep;
mod terms;
mod traced;
mod unreadable;
mod upkeep;
mod views;

#[cfg(test)]
mod tests;

pub use config::{MaterializerConfig, RetentionPolicy, SnapshotPolicy, Store};
pub use metrics::METRICS;
pub use role::{MaterializerRole, Progress};
pub use suspect::Suspect;
