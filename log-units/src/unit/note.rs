//! What a unit writes into its log stream beside frames: stamps and lanes, as plain facts.

use crate::unit::runs::Run;

/// LOG-U6: what one cut says about the lanes of this unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) cut_seq: u64,
    pub(crate) raft_index: u64,
    pub(crate) log_time_us: u64,
    /// From here to `next_lsn` nothing else lies on this unit than what this stamp names.
    pub(crate) known_from_lsn: u64,
    pub(crate) next_lsn: u64,
    /// The stamp written before this one; a reader that finds another has lost some.
    pub(crate) previous_cut_seq: u64,
    pub(crate) runs: Vec<StampedRun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StampedRun {
    pub(crate) lane: u64,
    pub(crate) from_idx: u64,
    pub(crate) to_idx: u64,
    pub(crate) first_lsn: u64,
    /// The lane's chain at `to_idx`, as cut.
    pub(crate) chain: u128,
}

impl Stamp {
    pub(crate) fn runs(&self) -> Vec<Run> {
        let run = |run: &StampedRun| Run {
            first_lsn: run.first_lsn,
            lane: run.lane,
            from_idx: run.from_idx,
            cut_seq: self.cut_seq,
            log_time_us: self.log_time_us,
            count: (run.to_idx - run.from_idx) as u32,
        };
        self.runs.iter().map(run).collect()
    }
}

/// Written before the first frame of a lane, so that the log can be read without the sequencer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneNote {
    pub(crate) lane: u64,
    pub(crate) stripe: u64,
    pub(crate) first_chain: u128,
    pub(crate) node_id: u64,
    pub(crate) incarnation: u64,
}

/// Written before parts of the stream are released: a lane begins here, what lies below is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BeginNote {
    pub(crate) lane: u64,
    /// Stripes begin with 1; `None`: it was not known.
    pub(crate) stripe: Option<u64>,
    pub(crate) begin_idx: u64,
    /// Before it, if that is known.
    pub(crate) chain: Option<u128>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Stamp(Stamp),
    Lane(LaneNote),
    Begin(BeginNote),
    /// A stamp that says something about one stripe only, which this unit copies.
    Copied(u64, Stamp),
}
