//! Reads: everything a request sees, at one LSN of one snapshot (FOLD-R1).
mod at;
mod entry;
mod list;
mod moment;
mod settings;
mod stat;

#[cfg(test)]
mod tests;

pub use at::At;
pub use list::list;
pub(crate) use moment::check_floor;
pub use moment::{Moment, moment_of, resolve_time};
pub use settings::{setting_history, settings};
pub use stat::{stat, stat_with_xattrs};
