//! Folds the log into what people use: the namespace, CONTROL, the block map (DESIGN.md §5, FOLD.md).
//!
//! - [`view`]: the key-value store under it all, in memory and on disk
//! - [`state`]: which rows there are, how they are keyed and written
//! - [`fold`]: frames in, rows out; total, deterministic, never fails
//! - [`plan`]: a request in, mutations or a refusal out, against folded state and what is in flight
//! - [`read`]: what a request sees at one LSN
//! - `snapshot`: a whole state as bytes, and back (SNAPSHOT.md)
//! - `machinery`: what waits, calls the pure part, and carries out what it says
//!
//! Invariants, cited where they are kept:
//! - I1 A batch holds whole frames and is atomic across keyspaces; its stamp lies in each of them.
//! - I2 State is a function of the frames folded, their LSNs and log times; of nothing else.
//! - I3 A key has one version per record; every version ≥ floor can be read.
//! - I4 What is planned over the overlay equals what is planned after the fold of what is in it.
//! - I5 What this build does not know halts the fold; it is never skipped.
#[cfg(test)]
mod alone;
pub mod fold;
mod machinery;
pub mod plan;
pub mod read;
mod snapshot;
pub mod state;
pub mod view;

pub use machinery::{
    METRICS, MaterializerConfig, MaterializerRole, Progress, RetentionPolicy, SnapshotPolicy,
    Store, Suspect,
};

#[cfg(test)]
mod against_model;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod mutants;
