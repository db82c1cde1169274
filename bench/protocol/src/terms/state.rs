//! The whole world of the model of terms: the log, two replicas, clients.

use crate::terms::fold::{Frame, Lsn};
use crate::terms::scenario::{ATTEMPTS, Budget, REQUESTS, Scenario};

pub const REPLICAS: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Frame at LSN n is `log[n - 1]`.
    pub log: Vec<Frame>,
    pub replicas: [Replica; REPLICAS],
    /// Frames of a process that has died: in flight, cut late or never.
    pub orphans: Vec<Frame>,
    pub requests: [Request; REQUESTS],
    /// A linearizable read that waits, with the end at its arrival.
    pub reading: Option<Lsn>,
    /// A refusal or a read was answered with what was true at no time since it was asked.
    pub stale: bool,
    pub budget: Budget,
}

/// A materializer of the shard. A paused one is one that takes no step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    pub incarnation: u8,
    pub applied: Lsn,
    /// Which frames took effect in its fold (bit LSN).
    pub took: u32,
    /// The term it owns, as far as it knows.
    pub owns: Option<Lsn>,
    /// Frames in flight on its lane, in order.
    pub flying: Vec<Frame>,
    /// FOLD-S3: the highest attempt seen, of each request.
    pub seen: [u8; REQUESTS],
    /// A request that waits for its plan or its refusal.
    pub waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    pub request: u8,
    pub attempt: u8,
    /// The end, asked for after its arrival (FOLD-P3).
    pub end: Lsn,
}

/// A request as its client sees it, and its attempts on the network: each may arrive at any time from
/// then on, any number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Request {
    /// Attempts sent.
    pub attempts: u8,
    /// The term each was routed by.
    pub routes: [Lsn; ATTEMPTS],
    /// The end when the first was sent.
    pub since: Lsn,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    #[default]
    Open,
    Done,
    /// The client is told that the request has not happened and, as it was the last attempt, never will.
    NotDone,
    Unknown,
}

impl State {
    pub(crate) fn at_start(scenario: &Scenario) -> Self {
        // FOLD-T0, in short: the first frame starts node 0's term, and all have folded it.
        let genesis = Frame::TermStarted {
            prev: 0,
            owner: (0, 0),
        };
        let replica = |owns| Replica {
            applied: 1,
            took: 1 << 1,
            owns,
            ..Replica::default()
        };
        Self {
            log: vec![genesis],
            replicas: [replica(Some(1)), replica(None)],
            orphans: Vec::new(),
            requests: [Request::default(); REQUESTS],
            reading: None,
            stale: false,
            budget: scenario.budget,
        }
    }

    pub fn end(&self) -> Lsn {
        self.log.len() as Lsn
    }
}
