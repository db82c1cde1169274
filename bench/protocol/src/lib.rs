//! Models of the two protocols that everything stands on, searched exhaustively within bounds.
//!
//! | file | what it holds |
//! |---|---|
//! | `log.rs`, `log/` | the log: lanes, cuts, units, failover (client/log/LOG.md) |
//! | `terms.rs`, `terms/` | terms, guards and slots of one shard (materializer/FOLD.md) |
//! | `went_back.rs` | a journal that goes back (LOG-U9) |
//! | `verdict.rs` | a search and what it found |
//! | `main.rs` | `dfs-protocol log --size large` |
//!
//! A model is a claim about the written rules, not about the code: bench/sim runs the code.

pub mod log;
pub mod terms;
pub mod verdict;
pub mod went_back;
