//! The shared log as a library: append, scan, follow, end (LOG.md).
//!
//! # Map
//! - [`SharedLog`] (`shared_log.rs`): the contract; [`Draft`] goes in, [`Event`]s come out.
//! - [`Appender`], [`Ticket`] (`appender.rs`): a lane's writing end; [`Follower`] (`follower.rs`): a reading end.
//! - [`ClusterLog`] (`cluster.rs`): the real one. `cluster/hub.rs`: the stream of cuts; `lane.rs`, `unit_stream.rs`: appending;
//!   `line.rs`: a lane and its successors, and when it moves;
//!   `reader.rs`, `scan.rs`: following, `verdicts.rs`: LOST or merely away; `finding.rs`: own records whose cuts were missed;
//!   `end.rs`: questions for the end.
//! - [`MemoryLog`] (`memory.rs`): the contract without a cluster, for whatever stands on the log.
//! - `machine.rs` (pure): the append machine: frames, windows, what is kept; `tail.rs`: the growing end of a lane.
//! - `testing` (feature): the conformance suite of [`SharedLog`]; a cluster in memory that fails on request.
//! - `outcome.rs`: one answer that many wait for.
//!
//! # Invariants (LOG.md §4, §5)
//! - LOG-A2, LOG-I1: a frame never changes once it was sent; a retry sends the same bytes.
//! - LOG-A3: a frame is kept until it is cut and stored on every unit, within 64 MiB.
//! - LOG-A4, LOG-I7: what is sent again is what an applied final length leaves, after the answer.
//! - LOG-I6: a cut beyond a final length is an alarm, and nothing is heard after it.
//! - LOG-A6: a ticket is answered from the cut stream, from nowhere else.
//! - LOG-R1: nothing at or above the end known from Base and the cuts after it is given to a follower.
//! - LOG-R2: what units answer is counted against what the stripes hold.
mod appender;
mod cluster;
mod follower;
mod machine;
mod memory;
mod outcome;
mod shared_log;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;

pub use appender::{Appender, InFlight, Room, Ticket, Trail};
pub use cluster::ClusterLog;
pub use follower::Follower;
pub use memory::MemoryLog;
pub use shared_log::{Batch, Committed, Draft, Event, Follow, FrameAt, Lsn, SharedLog};
