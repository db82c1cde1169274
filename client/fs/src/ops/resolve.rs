//! Resolve: which LSN a moment is, so that many reads can be about the same one (F6).

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};

use crate::fs::Fs;
use crate::when::When;

/// A moment, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub lsn: u64,
    /// Log time of that LSN, µs since the epoch.
    pub log_time_us: u64,
    /// The sequencer's clock when it was resolved.
    pub now_us: u64,
}

impl Moment {
    /// To be given to the reads that are about this moment.
    pub fn when(&self) -> When {
        When::Lsn(self.lsn)
    }
}

impl Fs {
    pub async fn resolve(&self, when: When) -> Result<Moment, Refusal> {
        let request = v1::ResolveRequest {
            view: self.view(when),
        };
        let answer = self.ask("a moment", Op::Resolve(request), |body| match body {
            Body::Resolved(resolved) => Some(resolved),
            _ => None,
        });
        let resolved = answer.await?.value;
        Ok(Moment {
            lsn: resolved.lsn,
            log_time_us: resolved.log_time_us,
            now_us: resolved.now_us,
        })
    }
}
