//! What the leader knows of units and processes, and never writes down (LOG-D1, D2, D5).
//!
//! Pure: reports and moments go in, candidates and verdicts come out. Moments are µs of a monotonic clock.
pub(crate) mod clocks;
pub(crate) mod copies;
#[cfg(test)]
mod copies_tests;
mod forgetting;
pub(crate) mod holdings;
#[cfg(test)]
mod holdings_tests;
pub(crate) mod placement;
#[cfg(test)]
mod placement_tests;
pub(crate) mod pulses;
pub(crate) mod watches;
#[cfg(test)]
mod watches_tests;
