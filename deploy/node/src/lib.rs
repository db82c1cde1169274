//! Roles in one process from one configuration; all of them together are the embedded default.
//!
//! - [`config`]: what a process runs, and where
//! - [`directory`]: the lock and the identity of a process
//! - [`roles`]: the roles of a process, from directory to registered; the same over TCP and simulated
//! - [`metrics`], `http`: what a process tells of itself, on a port of its own
//! - [`traces`]: spans of sampled requests, to a collector
//! - [`process`]: a whole process with its port, from start to an orderly stop
//!
//! Invariants: N1 a directory is used by one process at a time. N2 a role's directory is never made anew on
//! another disk than the one it was on. N3 a node id belongs to a process's directory, for good.
pub mod config;
pub mod directory;
mod http;
pub mod metrics;
pub mod process;
pub mod roles;
pub mod traces;
