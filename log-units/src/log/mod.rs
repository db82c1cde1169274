//! The log of a unit: the machinery around the rules in `unit/`.
//!
//! - `owner.rs`: the one task that writes (LOG-U2); `stream.rs`: where it writes to
//! - `entries.rs`: how frames and notes lie there (FORMAT.md)
//! - `append.rs`, `board.rs`: frames in, credits back; `scan.rs`, `cache.rs`: frames out
//! - `conversation.rs`: with the sequencer
//! - `shared.rs`: what these share
pub(crate) mod append;
pub(crate) mod board;
pub(crate) mod cache;
pub(crate) mod conversation;
pub(crate) mod entries;
pub(crate) mod owner;
pub(crate) mod scan;
pub(crate) mod shared;
pub(crate) mod stream;
