//! The file system as a library, against roles in memory that misbehave as they are told.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;
mod operations;
mod session;
mod transfer;
