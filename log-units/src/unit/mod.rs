//! The rules of a unit, pure: no async, socket, disk, clock or chance.
//!
//! - `lane.rs`: one lane's frames, lengths and damage (LOG-U1, LOG-U4)
//! - `runs.rs`: which LSNs lie where
//! - `note.rs`: stamps and lanes as they are written beside frames (LOG-U6)
//! - `state.rs`: all lanes, cuts and stamps together; `recover.rs`: the same from what a disk holds
//! - `lane/mend.rs`, `stamps.rs`: what is missing of what was cut, and how a peer's copy takes its place;
//!   `trail.rs`: how that is verified
//! - `trim.rs`, `lane/begin.rs`: what is let go of at the front (LOG.md §8)
//! - `copies.rs`: closed stripes of other units; `wholes.rs`: of which closed stripes everything is held
//! - `report.rs`: what the sequencer is told; `plan.rs`: what a scan may answer
pub(crate) mod copies;
pub(crate) mod lane;
pub(crate) mod note;
pub(crate) mod plan;
pub(crate) mod recover;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod stamps;
pub(crate) mod state;
pub(crate) mod trail;
pub(crate) mod trim;
pub(crate) mod wholes;
