//! The commands of dfsctl: what people and scripts type, on the file system as a library.
//!
//! # Map
//! - [`globals`], `commands/VERB.rs`: the flags that every command has; one command, one file
//! - [`Call`] (`call.rs`): one invocation; `remote.rs`: the way to its cluster
//! - `expand.rs`, `glob.rs`: patterns in addresses become the addresses that match
//! - `links.rs`, `owner.rs`, `attributes.rs`, `mode.rs`: what chmod, chown and touch mean
//! - `acl.rs`: ACLs as people write and read them
//! - `sides.rs`, `filter.rs`: what diff and sync compare, and what they leave out
//! - `predicate.rs`: what find asks of an entry
//! - `target.rs`, `local.rs`, `transfer.rs`, `walk.rs`, `wrote.rs`: what several commands share
//! - [`address`], [`moment`], `calendar`: `[profile:][tree:]/path[@when]`
//! - [`output`], `json`, `entry`, `record`, `status`, `figures`, `quote`: what goes to standard output
//! - [`failure`], [`exit`]: what goes to standard error, and the exit code
//! - `tellers.rs`, `rates.rs`, `doctor.rs`: figures of all processes, and what follows from them
//! - `screen.rs`: what is drawn again and again: `status --watch`, `top`
//! - `trace.rs`: what becomes of a trace
//! - [`profile`]: where clusters are found; [`ask`]: questions; `progress`: bars
//!
//! # Invariants
//! - C1 Standard output carries data and results only; everything else goes to standard error.
//! - C2 Every refusal becomes an exit code by one total match (`Exit::of`); a batch returns the worst.
//! - C3 Every write that took effect prints its LSN; with `--dry-run` nothing is written.
//! - C4 Names are bytes: whatever the system holds can be addressed, and printed without harm.
//! - C5 A reader that closes our output ends the command without a word.
//! - C6 A pattern is looked for only where something is named that is there (`Call::meant`), at one LSN;
//!   a name that exists as it is typed is that name.
mod acl;
pub mod address;
pub mod ask;
mod attributes;
mod calendar;
mod call;
mod commands;
mod doctor;
mod entry;
pub mod exit;
mod expand;
pub mod failure;
mod figures;
mod filter;
mod glob;
pub mod globals;
mod json;
mod links;
mod local;
mod mode;
pub mod moment;
pub mod output;
mod owner;
mod predicate;
pub mod profile;
mod progress;
mod quote;
mod rates;
mod record;
mod remote;
mod screen;
mod sides;
mod status;
mod target;
mod tellers;
mod trace;
mod transfer;
mod walk;
mod wrote;

pub use calendar::format as format_time;
pub use call::{Call, say};
pub use commands::config::{Config, Elsewhere, run as run_config};
pub use commands::{Command, run};
pub use exit::Exit;
pub use failure::{Failure, Outcome};
pub use figures::parse_bytes;
