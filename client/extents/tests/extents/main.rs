//! The extents of files on units that misbehave.

mod fake;
mod loading;
mod storing;
