//! The real roles, run from one seed: a simulated network, processes that crash, judges.
//!
//! # Map
//! - [`run`], [`Options`], [`Report`], [`Failure`] (`scenario.rs`): one seed from birth to verdict.
//! - `cluster.rs`: the processes, started and crashed; `faults.rs`: what a seed does to them.
//! - `network.rs`, `network/`: how a call travels from one process to another.
//! - `client.rs`: random operations; `history.rs`: what was asked and answered.
//! - `judge.rs`: the history against the reference file system; `ending.rs`: what must hold at the end.
//! - `states.rs`: folded state, damaged behind the back of its materializer, and compared row by row.
//! - `stuck.rs`: where everything stands when a run hangs.
//! - [`soak`] (`soak.rs`): overwrites for an hour, and what has to stay flat.
//! - [`slow_parts`] (`slow_parts.rs`): appends while one unit, one stripe or one appender is slow.
//! - [`quiet`] (`quiet.rs`): a cluster that nothing happens to, for what its clients see of one another.
//! - `trace.rs`: everything that travelled, as one number; `alarms.rs`: panics and logged errors.
//!
//! # Invariants
//! - M1 The same seed gives the same trace, in any process, whatever ran before.
//! - M2 Every operation of every client is in the judged history, with the answer it got.
//! - M3 A checker counts only when it has been seen to fail: [`Broken`] are the builds that it must catch.
//! - M4 Nothing of a world is held after its end: a role that ends leaves nothing behind.
mod alarms;
mod client;
mod cluster;
mod ending;
mod faults;
mod history;
mod judge;
mod leaving;
mod network;
mod quiet;
mod scenario;
mod slow_parts;
mod soak;
mod states;
mod stuck;
mod trace;

pub use quiet::{Processes, quiet, quiet_with};
pub use scenario::{Broken, Failure, Options, Report, run};
pub use slow_parts::{Compared, Figure, slow_parts};
pub use soak::{Look, Soaked, soak};
