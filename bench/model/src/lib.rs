//! The reference file system: what every operation means, written for reading and nothing else.
//!
//! - [`Model`] (`model.rs`): all states there ever were, by LSN
//! - `tree.rs`: one state, a map from whole paths to nodes: no inodes, no rows, no deltas
//! - `operations.rs`: what each request does to it, or why not
//!
//! It shares nothing with what it judges but the wire's messages.
mod model;
mod operations;
mod tree;

pub use model::{Model, Who};
pub use operations::judged;
pub use tree::{Node, Tree};
