//! The log of a unit: the machinery around the rules in `unit/`.
//!
//! - `owner.rs`: the one task that changes the log (LOG-U2); `round.rs`: what one sync covers
//! - `stream.rs`: what is found at open
//! - `entries.rs`: how frames and notes lie there (FORMAT.md)
//! - `append.rs`, `board.rs`: frames in, credits back; `scan.rs`, `cache.rs`: frames out
//! - `read.rs`: one frame, read back and verified; `fetch.rs`: given to another unit
//! - `repair.rs`: what is missing or damaged here, fetched from others; `scrub.rs`: damage looked for
//! - `conversation.rs`: with the sequencer
//! - `ledger.rs`: what these share; `traced.rs`: spans of sampled requests
pub(crate) mod append;
pub(crate) mod board;
pub(crate) mod cache;
pub(crate) mod conversation;
pub(crate) mod entries;
pub(crate) mod fetch;
pub(crate) mod ledger;
pub(crate) mod owner;
pub(crate) mod read;
pub(crate) mod repair;
pub(crate) mod round;
pub(crate) mod scan;
pub(crate) mod scrub;
pub(crate) mod stream;
pub(crate) mod traced;
