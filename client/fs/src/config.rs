//! Who is asking, and how long it waits.

use std::time::Duration;

use crate::when::Consistency;

#[derive(Clone, Debug)]
pub struct FsConfig {
    /// Stored in every record; asserted, not enforced.
    pub actor: String,
    pub uid: u32,
    pub gid: u32,
    pub consistency: Consistency,
    /// From the call of an operation to its last retry. Streams of bytes have it per extent.
    pub timeout: Duration,
    /// How long one attempt waits before another is sent, elsewhere for a read.
    pub attempt_timeout: Duration,
    /// Bytes that are written and not yet on units, in all.
    pub write_bytes: u64,
    /// Bytes that are loaded ahead of readers, in all.
    pub ahead_bytes: u64,
    /// Of operations that belong to no sampled request, the part that begins one: 0 none, 1 each
    /// (deploy/TRACES.md).
    pub trace_ratio: f64,
}

impl Default for FsConfig {
    fn default() -> Self {
        FsConfig {
            actor: String::new(),
            uid: 0,
            gid: 0,
            consistency: Consistency::default(),
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(3),
            write_bytes: 64 << 20,
            ahead_bytes: 32 << 20,
            trace_ratio: 0.0,
        }
    }
}
