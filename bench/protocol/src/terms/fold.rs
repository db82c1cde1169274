//! Frames, and the fold: FOLD-G1 to FOLD-G5, FOLD-T1.

use crate::terms::TermsModel;
use crate::terms::mutant::Mutant;
use crate::terms::scenario::REQUESTS;

/// An LSN, from 1. A term is one (FOLD-T1).
pub type Lsn = u8;

/// A frame of the shard's log, one record each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// Guarded by `Term = prev`. `owner` is (node, incarnation).
    TermStarted { prev: Lsn, owner: (u8, u8) },
    /// A request's change with `SlotDone`. Guarded by `Term = term`; request 0 by its session too, if it
    /// names extents.
    Change { request: u8, attempt: u8, term: Lsn },
    /// The recorded refusal of an attempt > 1 (FOLD-S3). Guarded by `Term = term`.
    Refused { request: u8, term: Lsn },
    /// CONTROL, of another shard's primary.
    SessionExpired,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slot {
    #[default]
    Empty,
    Done,
    Refused,
}

/// What a prefix of the log amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    pub term: Lsn,
    pub session_gone: bool,
    pub slots: [Slot; REQUESTS],
    /// Whether the name exists: all the data there is.
    pub exists: bool,
    /// How often each request took effect.
    pub effects: [u8; REQUESTS],
    /// A change met what its planner had excluded: a name that is there or not, extents that are gone.
    pub broken: bool,
}

impl TermsModel {
    pub(crate) fn needs_session(&self, request: u8) -> bool {
        request == 0 && self.scenario.names_extents
    }

    /// FOLD-G3: whether a frame takes effect, with CONTROL as it is before the frame.
    pub(crate) fn holds(&self, control: &Folded, frame: Frame) -> bool {
        let is_current = |term: Lsn| term == control.term || self.is(Mutant::TermNotGuarded);
        match frame {
            Frame::TermStarted { prev, .. } => prev == control.term,
            Frame::Refused { term, .. } => is_current(term),
            Frame::SessionExpired => true,
            Frame::Change { request, term, .. } => {
                let guarded = self.needs_session(request) && !self.is(Mutant::CommitWithoutSession);
                is_current(term) && !(guarded && control.session_gone)
            }
        }
    }

    /// The term that a TermStarted at `lsn` begins.
    pub(crate) fn term_of(&self, prev: Lsn, lsn: Lsn) -> Lsn {
        match self.is(Mutant::TermsByNumber) {
            true => prev + 1,
            false => lsn,
        }
    }

    /// The effect of a frame that is not void.
    pub(crate) fn take_effect(&self, folded: &mut Folded, frame: Frame, lsn: Lsn) {
        match frame {
            Frame::TermStarted { prev, .. } => folded.term = self.term_of(prev, lsn),
            Frame::Refused { request, .. } => {
                folded.slots[usize::from(request)] = Slot::Refused;
            }
            Frame::SessionExpired => {
                folded.session_gone = true;
                if self.scenario.names_extents {
                    folded.slots[0] = Slot::Empty;
                }
            }
            Frame::Change { request, .. } => {
                let dead = self.needs_session(request) && folded.session_gone;
                folded.broken |= dead || !may(request, folded.exists);
                folded.exists = request == 0;
                folded.slots[usize::from(request)] = Slot::Done;
                folded.effects[usize::from(request)] += 1;
            }
        }
    }

    /// A prefix of the log, of which the frames in `took` took effect (bit LSN).
    pub(crate) fn fold(&self, log: &[Frame], took: u32) -> Folded {
        let mut folded = Folded::default();
        for (frame, lsn) in log.iter().zip(1..) {
            if took & (1 << lsn) != 0 {
                self.take_effect(&mut folded, *frame, lsn);
            }
        }
        folded
    }

    /// The published function (FOLD-G5): what a prefix amounts to, and which frames took effect.
    pub(crate) fn truth(&self, log: &[Frame]) -> (Folded, u32) {
        let (mut folded, mut took) = (Folded::default(), 0);
        for (frame, lsn) in log.iter().zip(1..) {
            if self.holds(&folded, *frame) {
                self.take_effect(&mut folded, *frame, lsn);
                took |= 1 << lsn;
            }
        }
        (folded, took)
    }
}

/// Whether a request's condition is met: 0 creates the name, 1 removes it.
pub(crate) fn may(request: u8, exists: bool) -> bool {
    (request == 0) != exists
}
