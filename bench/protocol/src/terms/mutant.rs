//! Rules of FOLD.md left out on purpose, each a variant of the model.

use clap::ValueEnum;

/// A rule that is left out, or kept wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Mutant {
    /// FOLD-P1: the overlay takes in a frame that another guard may still void.
    OverlayOverForeign,
    /// FOLD-P1: who succeeds itself (FOLD-L2) keeps its former term's frames in the overlay.
    OverlayOfOldTerm,
    /// FOLD-T1: a term is its predecessor's number plus one; whoever finds its number current owns it.
    TermsByNumber,
    /// FOLD-G3: a frame's guards are judged by CONTROL as far as it happens to be folded.
    ControlFromLater,
    /// FOLD-S4: a commit that names extents is not guarded by their session.
    CommitWithoutSession,
    /// FOLD-G3: frames of any term take effect.
    TermNotGuarded,
    /// FOLD-P3: a refusal is answered from folded state without asking for the end.
    RefusalWithoutEnd,
    /// FOLD-R1: a read is answered from folded state without asking for the end.
    ReadWithoutEnd,
    /// LOG-I9: a request is answered when its frame is cut, not when it is folded.
    AnsweredAtCut,
    /// FOLD-G4: "not applied" is answered for a frame that is not cut.
    VoidBeforeFold,
    /// FOLD-T2: the owner plans when its TermStarted is cut, before it has folded it.
    PlansBeforeOwnTerm,
    /// FOLD-S3: a request of another term is taken.
    AnyTermTaken,
    /// FOLD-S3: the primary does not remember which attempts it has seen.
    AttemptsForgotten,
    /// FOLD-S3: the client takes a refusal of an attempt that is not its last.
    AnyRefusalCounts,
    /// FOLD-P4: what has a result in its slot is planned again.
    SlotNotLookedUp,
    /// FOLD-P4: a retry of what is in flight is planned again.
    RetryPlannedTwice,
    /// FOLD-S1: "session gone" on an attempt > 1 is taken for a refusal.
    SessionGoneRefuses,
}

impl Mutant {
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

/// FOLD-S3's last part: the refusal of an attempt > 1 is recorded in its slot. A variant, not a mutant:
/// the tests show what this model says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Refusals {
    #[default]
    Recorded,
    NotRecorded,
}
