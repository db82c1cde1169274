//! A log unit: keeps bytes, never sees paths. Lanes of the shared log, and extents of files.
//!
//! # Map
//! - `unit/`: the rules of lanes, cuts and stamps; pure
//! - `log/`: the machinery around them: one task writes, many read
//! - `extents/`: store and load, in files of their own
//! - `metrics.rs`: what is counted, and told
//! - `service.rs`: [`UnitRole`], the role; `config.rs`: [`UnitConfig`]; `identity.rs`: [`format_or_open`], [`bind`]
//! - `failure.rs`: how the role says that it has to end
//!
//! # Invariants
//! - N1 Nothing is reported durable, and no extent is Stored, before an fdatasync that covers it has
//!   succeeded (LOG-U2, LOG-I3).
//! - N2 After a failed write or fdatasync the role ends; nothing is tried again (LOG-U3). A full disk
//!   is no failure (LOG-U8).
//! - N3 A scan answers only what was cut and has the cut's chain (LOG-U4, LOG-I8).
//! - N4 Corrupt, absent, trimmed and not yet are different answers (LOG-I15).
//! - N5 (lane, idx) never holds two byte strings that were both reported (LOG-I1).
//! - N6 A frame costs 48 bytes of memory and its run of LSNs at most 48 more, an extent about 40,
//!   however large they are.
//! - N7 What a peer gave is written only when its chain leads to what was cut, and counts, like any
//!   other frame, once it is synced (LOG-U1, LOG-U4).
#![doc = include_str!("../FORMAT.md")]

mod config;
mod extents;
mod failure;
mod identity;
mod log;
mod metrics;
mod service;
#[cfg(test)]
mod tests;
mod unit;

pub use config::UnitConfig;
pub use identity::{Identity, bind, format_or_open};
pub use metrics::METRICS;
pub use service::UnitRole;
