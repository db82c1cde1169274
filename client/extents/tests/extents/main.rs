//! The extents of files on units that misbehave.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;
mod loading;
mod storing;
