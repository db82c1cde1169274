//! The one binary: client/cli's commands, and `dev` and `serve`.
fn main() {}
