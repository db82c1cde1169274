//! The load that presses on a system from outside, through client alone, and what it measures.
//!
//! - [`drive`]: closed and open loops over any operation; latencies from the moment an operation was due
//! - [`raw`]: what the disk itself can do, in the same run
//! - [`report`]: results as JSON and as a table, with machine, date and command
pub mod drive;
pub mod raw;
pub mod report;
