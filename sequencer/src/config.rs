//! What a sequencer is told at start.
pub use crate::membership::placement::Redundancy;
use crate::order::CUTS_HELD_MAX;
use std::collections::BTreeMap;

/// Equal on every voter that founds the cluster, but for `voter`.
#[derive(Clone, Debug)]
pub struct SequencerConfig {
    /// Which of the voters this one is.
    pub voter: u64,
    /// The ids and addresses of the voters that found the cluster; who belongs to the group later is
    /// known by the group alone. Empty: this one joins a group, and founds none.
    pub voters: BTreeMap<u64, String>,
    /// R and W of stripes that are opened from now on.
    pub redundancy: Redundancy,
    /// Raft entries between two snapshots of the order; a restart replays at most these.
    pub snapshot_every: u64,
    /// The journal's smallest segment; the largest is four times that. A snapshot comes every few MiB of
    /// entries, so larger ones would only keep what nobody needs.
    pub segment_bytes: u64,
    /// Cuts held from which on the runs that wait for closed stripes are set aside. At half of the bound
    /// units that are there have long synced what they stamped.
    pub set_aside_from: usize,
}

/// A snapshot every few seconds of the heaviest load.
const SNAPSHOT_EVERY: u64 = 10_000;
const SEGMENT_BYTES: u64 = 4 << 20;

impl SequencerConfig {
    /// One voter, at `address` (empty: in process only).
    pub fn single(address: impl Into<String>, units: u32, write_quorum: u32) -> SequencerConfig {
        SequencerConfig {
            voter: 1,
            voters: BTreeMap::from([(1, address.into())]),
            redundancy: Redundancy {
                units,
                write_quorum,
            },
            snapshot_every: SNAPSHOT_EVERY,
            segment_bytes: SEGMENT_BYTES,
            set_aside_from: CUTS_HELD_MAX / 2,
        }
    }

    /// It has a seat (see `Seating`), and takes no part before the group adds it.
    pub fn joining(&mut self, voter: u64) {
        self.voter = voter;
        self.voters.clear();
    }
}
