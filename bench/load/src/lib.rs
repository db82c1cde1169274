//! The load that presses on a system from outside, through client alone, and what it measures.
//!
//! - [`drive`]: closed and open loops over any operation; latencies from the moment an operation was due
//! - [`fsyncs`]: what each of the two fsyncs of an append costs
//! - [`quick`]: the main figures in about a minute
//! - [`raw`]: what the disk itself can do, in the same run
//! - [`telemetry`]: what it costs to be watched
//! - [`workloads`]: what is done again and again
//! - [`report`]: results as JSON and as a table, with machine, date and command
pub mod drive;
pub mod fsyncs;
pub mod quick;
pub mod raw;
pub mod report;
pub mod telemetry;
pub mod workloads;
