//! The file system as a library: the only way in for every door.
//!
//! # Map
//! - [`Fs`] (`fs.rs`): connect, close; one method per operation, each in its file under `ops/`.
//! - [`Address`], [`When`], [`Consistency`]: where and at which moment; [`Entry`], [`Seen`],
//!   [`Committed`]: what comes back.
//! - `dialog/`: one request stream per materializer, who they are, reads that try again.
//! - `session/`: the session, its slots, one mutation exactly once.
//! - `placing.rs`: what `dfs-extents` asks the primary of shard 0.
//! - [`compare`]: two trees side by side, local or remote, at any moment.
//! - `walk.rs`, `du.rs`, `follow.rs`: made of the operations.
//! - [`transfer`]: whole trees up and down.
//!
//! # Invariants
//! - F1 A mutation is applied once however often it is sent: every send is a new attempt of one
//!   (session, slot, seq); an answer of success counts from any attempt, a refusal only from the
//!   last (FOLD-S3). What cannot be known is said: `TimedOut`, with what to do.
//! - F2 A path that the cluster would refuse for its form is refused before anything is sent.
//! - F3 Bytes first, record last: no commit names an extent that is not on every member of a group.
//! - F4 A whole file that was read had the checksum of its record, or the stream ended in a refusal.
//! - F5 Everything in flight is bounded: slots, the queue of a stream, bytes written and read ahead.
//! - F6 A tree is read at one LSN.

mod address;
pub mod compare;
mod config;
mod dialog;
mod du;
mod entry;
mod follow;
mod fs;
mod ops;
mod placing;
mod session;
pub mod transfer;
mod walk;
mod when;

pub use address::{Address, MAIN_TREE};
pub use config::FsConfig;
pub use dfs_wire::{Code, Refusal, settings, v1};
pub use du::Usage;
pub use entry::{Committed, Entry, Kind, Page, Seen};
pub use fs::Fs;
pub use ops::append::AppendOptions;
pub use ops::checksum::Checksum;
pub use ops::digest::Digest;
pub use ops::read::Reading;
pub use ops::resolve::Moment;
pub use ops::set_attr::AttrChange;
pub use ops::status::Status;
pub use ops::write::{Source, WriteOptions, source_of};
pub use walk::Walked;
pub use when::{Consistency, When};
