//! Rules of LOG.md left out on purpose, each a variant of the model that must be caught.

use clap::ValueEnum;

/// A rule that is left out, or kept wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Mutant {
    /// LOG-U2, LOG-I3: a unit reports what it has staged.
    DurableBeforeFsync,
    /// LOG.md §7: what the page cache shows after a crash is reported before it is written again.
    HelloBeforeResync,
    /// LOG-A4, LOG-I7: the owner opens the new lane and sends again before the seal is applied.
    ResendBeforeSeal,
    /// LOG-A4: after the seal the owner sends from the length it last heard, not from the final one.
    ResendFromHeard,
    /// LOG-I6: a late cut lengthens a sealed lane.
    SealNotFinal,
    /// LOG-D4, LOG-R1: a reader takes a cut that is proposed, not applied.
    ReadUnapplied,
    /// W = 1.
    QuorumOfOne,
    /// LOG.md §1, LOG-D1: an emptied directory comes back under its old nonce.
    UnitForgets,
    /// LOG-D1: what is known of a unit grows, and a Hello does not replace it.
    HelloDoesNotReplace,
    /// LOG.md §6, read by the letter: a unit that names a bad range is marked lossy only if it is shorter
    /// than the cuts applied *when its Hello arrives*. One in flight may have counted on it too.
    LossyByLength,
    /// LOG-A1: another incarnation goes on in the lane where the last cut ends.
    OwnerReused,
    /// LOG-D2: the leader compares lengths alone.
    ChainNotCompared,
    /// LOG-U4: a unit serves up to the cut whatever it holds there.
    ChainNotServed,
    /// LOG-U6: `stamped_through` says what was heard, not what was synced.
    ForgetBeforeSync,
    /// LOG-U6: a unit counts as stamped though it lacks the frames.
    StampsWithoutFrames,
    /// LOG-U6: W units of *one* stripe that the cut touches suffice to forget it.
    ForgetByOneStripe,
    /// LOG.md §2: `length := n` also for n below the length.
    MaxMergeMissing,
}

impl Mutant {
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }
}
