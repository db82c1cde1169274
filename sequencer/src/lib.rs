//! The sequencer: gives every record its place; never sees bytes (LOG.md §2, §3).
//!
//! # Map
//! - [`order`]: pure; what Raft holds, and `apply`, the only thing that changes it. One command, one file.
//! - [`membership`]: pure; what the leader knows of units and processes: candidates, liveness, placement,
//!   and what is to be sealed or closed.
//! - `board`: order and membership under one lock, and everyone who is told of them.
//! - `raft`: openraft, with its journal on segment files, its snapshots, its runtime, its ways to other voters.
//! - `leader`: the cut loop and the watch over the silent.
//! - [`SequencerRole`] (`role`): the door; one operation, one file. `admin`: who belongs to the group.
//! - `metrics`: what is counted, and told; `traced`: spans of sampled requests.
//! - [`SequencerConfig`] (`config`); [`Seating`]: one that joins; [`Solitude`]: the group of one.
//!
//! # Invariants
//! - Q1 State changes only in `Order::apply`, which is pure: equal entries give equal state (LOG-I5).
//! - Q2 At most one cut is in flight; only applied ones are told (LOG-D3, D4).
//! - Q3 A candidate has W units that reported it with one chain (LOG-I4, LOG-D2).
//! - Q4 LSNs are dense from 1, log time rises strictly, held cuts are a contiguous run.
//! - Q5 A Hello replaces what was known of the unit; a replaced conversation is not listened to (LOG-D1).
//! - Q6 A journal that cannot be read whole is never started from.
//! - Q7 A voter whose directory is not the one that was seated neither votes nor is counted (LOG.md §6).
//! - Q8 Only a voter that most others answer leads; who leads no more sends its listeners away (LOG-I10).
//! - Q7b A cluster is founded when every founder knows the directories of all founders.
//! - Q9 An id of the group is given once, with one directory; one that was removed never comes back.
//! - Q10 What is forgotten of a cut is stamped by W of every stripe it touches, or stands in the row of a closed one (LOG-U6).

mod admin;
mod board;
mod config;
mod leader;
pub(crate) mod membership;
mod metrics;
pub mod order;
mod raft;
mod role;
mod seating;
mod solitude;
mod traced;

pub use config::{Redundancy, SequencerConfig};
pub use metrics::METRICS;
pub use role::SequencerRole;
pub use seating::Seating;
pub use solitude::Solitude;
