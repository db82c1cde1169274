//! Bytes of files on log units: cut, checksum, store, load. Knows units and groups, never paths.
//!
//! # Map
//! - [`Extents`] (`extents.rs`): what one client process shares: budgets, placement, health of units.
//! - [`Writer`] (`writer.rs`): cuts a stream of bytes into extents, several of them in flight.
//! - `store.rs`: one extent to every member of an open group, elsewhere when a member fails or drags.
//! - `reader.rs`: a range of a file as a stream, some extents ahead; `load.rs`: one piece from one
//!   member, verified.
//! - [`Placer`] (`placer.rs`): who says where extents go; `placement.rs`: what it said, kept.
//! - `health.rs`: which member to ask first; `checksum.rs`: CRC-32/ISCSI, running and combined.
//!
//! # Invariants
//! - W1 An extent is reported as stored only when every member of one group has answered with its
//!   length and checksum; a member that fails or drags costs latency, never a hole (DESIGN.md §6).
//! - W2 Bytes on their way to units are bounded in all, not per file: [`ExtentsConfig::write_bytes`].
//! - R1 No byte leaves this crate whose block checksum was not checked, and no block checksum is
//!   believed unless all of them, combined, give the checksum in the file's record.
//! - R2 A range comes out exact and in order, or ends with a refusal that names the extent.
//! - R3 Only the extent a reader stands at may load without a share of the read-ahead budget.

mod checksum;
mod extents;
mod health;
mod load;
mod placement;
mod placer;
mod reader;
mod store;
mod writer;

pub use checksum::{Crc32c, combine, crc32c};
pub use extents::{Extents, ExtentsConfig};
pub use placer::Placer;
pub use writer::{Stored, Writer};
