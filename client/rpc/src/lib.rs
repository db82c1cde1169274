//! Connect and serve: the roles as traits, in process or over TCP, with handshake, deadlines and identity.
//!
//! - [`roles`]: what each role answers, and the `Connector` that finds it
//! - [`members`]: the keep-alive stream of a process
//! - [`metrics`]: what machinery counts
//! - [`serve`]: roles of this process answer on one port
//! - [`remote`]: roles of other processes, as the same traits
//! - [`connector`]: local roles directly, others over kept connections
//! - [`leading`]: which of several sequencers leads
//! - [`trace`]: which request something is done for
//! - [`status`]: a refusal as a gRPC status with `ErrorInfo`, and back
//!
//! Invariants: R1 a connection carries nothing before its handshake has agreed. R2 a refusal comes out of a status
//! exactly as it went in. R3 after a transport error a connection is never used for a new call.
pub mod connector;
pub mod leading;
pub mod members;
pub mod metrics;
pub mod remote;
pub mod roles;
pub mod serve;
pub mod status;
pub mod trace;
