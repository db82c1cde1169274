//! Tests of the whole role on simulated disks, with a sequencer that does what a test says.
//!
//! - `fake.rs`: the sequencer; `rig.rs`: a unit, an appender and a reader around it
//! - `log.rs`: append, cut, scan; `damage.rs`: what disks do; `power.rs`: crashes, and a judge of them
//! - `trio.rs`: three units of one stripe; `repair.rs`: what one of them lacks comes from the others
//! - `waiting.rs`: they come back when their cuts are forgotten
//! - `rules.rs`: properties of the pure part
//! - `identity.rs`: who a directory is
//! - `extents.rs`: store and load; `format.rs`: FORMAT.md against the code
mod copies;
mod damage;
mod extents;
mod fake;
mod format;
mod identity;
mod log;
mod power;
mod repair;
mod rig;
mod rules;
mod trim;
mod trio;
mod waiting;
