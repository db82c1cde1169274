//! The way from a chain that is held to one that was cut: what does not lie on it is never written (LOG-U4).

use std::collections::VecDeque;

use dfs_wire::frame::{Frame, FrameHead};

use crate::unit::lane::Want;

/// Known places no further apart than this need not be looked for: so much is held while it is verified.
pub(crate) const UNVERIFIED_BYTES_MAX: usize = 8 << 20;
/// Where heads are followed, a place is noted each time so many bytes of frames were passed.
const ANCHOR_BYTES: usize = 4 << 20;
/// Places noted of one range: it is 256 GiB long then.
const ANCHORS_MAX: usize = 1 << 16;

/// What a peer gave is not what was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Astray {
    #[error("it does not go on from idx {idx}")]
    Gap { idx: u64 },
    #[error("its chain differs from what is held or was cut at idx {idx}")]
    Chain { idx: u64 },
    #[error("no frame of it ends at idx {idx}, where a cut does")]
    Beyond { idx: u64 },
    #[error("too long to follow")]
    Long,
}

/// A lane's chain, carried forward.
#[derive(Clone, Copy, Debug)]
struct Step {
    lane: u64,
    idx: u64,
    /// Not known where a lane begins that was trimmed: that it leads to what was cut is proof enough.
    chain: Option<u128>,
}

impl Step {
    fn onto(&mut self, head: &FrameHead) -> Result<(), Astray> {
        if (head.lane, head.first_idx) != (self.lane, self.idx) {
            return Err(Astray::Gap { idx: self.idx });
        }
        if self.chain.is_some_and(|chain| chain != head.chain) {
            return Err(Astray::Chain { idx: self.idx });
        }
        (self.idx, self.chain) = (head.end_idx(), Some(head.chain_after));
        Ok(())
    }

    /// `Ok(true)` at the anchor, `Ok(false)` before it.
    fn reaches(&self, anchor: Option<&(u64, u128)>) -> Result<bool, Astray> {
        match anchor {
            Some((idx, _)) if self.idx < *idx => Ok(false),
            Some((idx, chain)) if self.idx == *idx && self.chain == Some(*chain) => Ok(true),
            Some((idx, _)) if self.idx == *idx => Err(Astray::Chain { idx: *idx }),
            Some((idx, _)) => Err(Astray::Beyond { idx: *idx }),
            None => Err(Astray::Beyond { idx: self.idx }),
        }
    }
}

/// Frames on their way from a peer into a lane.
#[derive(Debug)]
pub(crate) struct Trail {
    at: Step,
    anchors: VecDeque<(u64, u128)>,
    waiting: Vec<Frame>,
    waiting_bytes: usize,
}

impl Trail {
    pub(crate) fn new(want: &Want) -> Trail {
        Trail::over(want, want.anchors.iter().copied().collect())
    }

    /// With places found by following heads.
    pub(crate) fn over(want: &Want, anchors: VecDeque<(u64, u128)>) -> Trail {
        Trail {
            at: start(want),
            anchors,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// The next frame; gives out all frames that lead to a known place, and are what was cut.
    pub(crate) fn take(&mut self, frame: Frame) -> Result<Vec<Frame>, Astray> {
        if trusts_peers() {
            return Ok(vec![frame]);
        }
        self.at.onto(&head_of(&frame))?;
        self.waiting_bytes += frame.bytes().len();
        self.waiting.push(frame);
        if !self.at.reaches(self.anchors.front())? {
            return Ok(Vec::new());
        }
        self.anchors.pop_front();
        self.waiting_bytes = 0;
        Ok(std::mem::take(&mut self.waiting))
    }

    /// More than may be held waits for the next known place.
    pub(crate) fn is_too_long(&self) -> bool {
        self.waiting_bytes > UNVERIFIED_BYTES_MAX
    }
}

/// Follows heads, and notes places on the way, which count once the end is reached.
#[derive(Debug)]
pub(crate) struct Survey {
    at: Step,
    known: VecDeque<(u64, u128)>,
    noted: VecDeque<(u64, u128)>,
    bytes: usize,
}

impl Survey {
    pub(crate) fn new(want: &Want) -> Survey {
        Survey {
            at: start(want),
            known: want.anchors.iter().copied().collect(),
            noted: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn take(&mut self, head: &FrameHead) -> Result<(), Astray> {
        self.at.onto(head)?;
        self.bytes += head.frame_bytes;
        let known = self.at.reaches(self.known.front())?;
        if known {
            self.known.pop_front();
        }
        if known || self.bytes >= ANCHOR_BYTES {
            self.bytes = 0;
            self.noted.push_back((self.at.idx, head.chain_after));
        }
        if self.noted.len() > ANCHORS_MAX {
            return Err(Astray::Long);
        }
        Ok(())
    }

    /// The places up to the last known one that was reached: none behind it is believed.
    pub(crate) fn anchors(mut self, want: &Want) -> Result<VecDeque<(u64, u128)>, Astray> {
        let reached = want.anchors.len() - self.known.len();
        let Some(last) = reached.checked_sub(1).and_then(|at| want.anchors.get(at)) else {
            return Err(Astray::Gap { idx: self.at.idx });
        };
        self.noted.retain(|(idx, _)| idx <= &last.0);
        Ok(self.noted)
    }
}

fn start(want: &Want) -> Step {
    Step {
        lane: want.lane,
        idx: want.first_idx,
        chain: want.chain,
    }
}

fn head_of(frame: &Frame) -> FrameHead {
    FrameHead {
        lane: frame.header.lane,
        first_idx: frame.header.first_idx,
        count: frame.header.count,
        chain: frame.header.chain,
        chain_after: frame.chain_after(),
        frame_bytes: frame.bytes().len(),
    }
}

#[cfg(test)]
thread_local! {
    /// The defect on purpose: what peers give is written unseen. A test's world has one thread.
    pub(crate) static TRUSTS_PEERS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

pub(crate) fn trusts_peers() -> bool {
    #[cfg(test)]
    return TRUSTS_PEERS.get();
    #[cfg(not(test))]
    false
}
