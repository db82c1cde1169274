//! What is done again and again: one kind of operation in each file.
pub mod appends;
pub mod creates;
pub mod lists;
pub mod stats;
pub mod transfers;
