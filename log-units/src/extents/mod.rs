//! Extents: immutable bytes of files, in large files of their own, apart from the log.
//!
//! - `layout.rs`: how they lie (FORMAT.md); `sums.rs`: their checksums
//! - `index.rs`: which are held; `open.rs`: found again after a restart
//! - `owner.rs`: gives them room, and one fdatasync for all that wait (LOG-U2)
//! - `store.rs`, `load.rs`: the two operations
pub(crate) mod index;
pub(crate) mod layout;
pub(crate) mod load;
pub(crate) mod open;
pub(crate) mod owner;
pub(crate) mod store;
pub(crate) mod sums;
