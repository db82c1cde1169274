//! Everything that travels or is kept: protobuf services and records, frames, refusals, limits.
//!
//! - `v1`: the protobuf messages (`proto/*.proto`), `bytes` fields as `bytes::Bytes`
//! - [`frame`]: the unit of append and of fsync, as it lies in a lane
//! - [`refusal`]: why something was not done
//! - [`limits`]: bounds; [`settings`]: those of a cluster, which change; [`tags`]: who needs a frame
pub mod frame;
pub mod limits;
pub mod refusal;
pub mod settings;
pub mod tags;

pub use refusal::{Code, Refusal};
pub use tags::Tag;

/// The protobuf messages and services.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("dfs.v1");
}
