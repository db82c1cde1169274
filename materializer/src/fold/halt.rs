//! Why a replica stops folding.
use crate::view::ViewError;

/// The replica stops before this frame and says so; it never skips (I5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// A kind of mutation or guard from a newer build.
    #[error("at LSN {lsn} stands {what}, which this build does not know: run a newer build")]
    Unknown { lsn: u64, what: String },
    /// FOLD-X5: frames are missing, or the order is not what the owner gave.
    #[error(
        "at LSN {lsn} frame {found} of shard {shard} follows frame {folded}: a unit left out frames"
    )]
    Gap {
        lsn: u64,
        shard: u64,
        folded: u64,
        found: u64,
    },
    /// The frame is not the next one: the caller's mistake.
    #[error("at LSN {lsn} is not the next frame: {expected} is")]
    NotNext { lsn: u64, expected: u64 },
    /// A body or a record that does not decode.
    #[error("at LSN {lsn} stands what cannot be decoded: {what}")]
    Undecodable { lsn: u64, what: String },
    #[error(transparent)]
    View(#[from] ViewError),
}
