//! Properties of the stream on a simulated disk, and controls that must fail.

/// A rule that is broken on purpose: the judge must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A batch claims to be synced before it is (S2).
    MarkBeforeSync,
    /// Corruption below the mark is taken for a torn tail.
    IgnoreMarks,
    /// A fresh segment without its end record counts.
    TrustUnfinishedRewrite,
}
