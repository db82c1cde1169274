//! Which moment a read is about, and how fresh "now" has to be.

use dfs_wire::v1;
use dfs_wire::v1::view::View;

/// The moment a read is about (DESIGN.md §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Now, as fresh as the [`Consistency`] says.
    #[default]
    Head,
    Lsn(u64),
    /// µs since the epoch, by log time.
    TimeUs(u64),
    /// This many µs before now, by the sequencer's clock.
    AgoUs(u64),
}

/// How fresh a read of [`When::Head`] has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged to anybody before the read began.
    #[default]
    Linearizable,
    /// At least everything up to this LSN: read your writes.
    AtLeast(u64),
    /// At most this many µs old.
    BoundedUs(u64),
}

impl When {
    pub(crate) fn to_wire(self, consistency: Consistency) -> v1::View {
        let view = match (self, consistency) {
            (When::Lsn(lsn), _) => View::AtLsn(lsn),
            (When::TimeUs(time), _) => View::AtTimeUs(time),
            (When::AgoUs(ago), _) => View::AgoUs(ago),
            (When::Head, Consistency::Linearizable) => View::Linearizable(true),
            (When::Head, Consistency::AtLeast(lsn)) => View::AtLeastLsn(lsn),
            (When::Head, Consistency::BoundedUs(us)) => View::BoundedUs(us),
        };
        v1::View { view: Some(view) }
    }
}
