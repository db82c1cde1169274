//! Time, chance, tasks and disks as given things: one `Env`, real or simulated.
//!
//! # Map
//! - [`Env`] (`env.rs`): clocks, sleep, random numbers, spawn, groups of tasks, disks.
//! - [`Task`], [`current`], [`EnvRng`] (`task.rs`): joinable tasks; the env of the running task.
//! - [`Disk`], [`DiskFile`] (`disk.rs`): the contract of a disk: a flat set of named files.
//! - `directory.rs`, `writer.rs`: the real disk, a directory with a writer thread of its own.
//! - `sim` (feature `sim`): a world made from a seed: time, scheduling, disks, faults.
//! - `contract` (feature `testing`): the suite that every `Disk` passes.
//!
//! # Invariants
//! - E1 A group that was crashed polls none of its tasks again and starts no other.
//! - E2 One directory has one owner: while one disk writes there, a second cannot be opened.
//! - E3 Writes and syncs of one disk happen in the order in which they were asked for.
//! - E4 A file handle whose sync failed once never syncs successfully again (LOG-U3).
//! - E5 A handle made by a group that was crashed fails; it never touches the disk again.
//! - E6 In a simulated world nothing depends on real time, real chance or threads: the same seed
//!   runs the same way.

mod directory;
mod disk;
mod env;
mod task;
mod writer;

#[cfg(feature = "testing")]
pub mod contract;
#[cfg(feature = "sim")]
pub mod sim;

pub use disk::{Disk, DiskFile, FileInfo, OpenMode, Space};
pub use env::Env;
pub use task::{EnvRng, Task, TaskEnd, current};
