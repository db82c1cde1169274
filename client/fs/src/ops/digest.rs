//! Digest: one number for all that the fold has done, equal on every replica (FOLD-X4).

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};

use crate::fs::Fs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub lsn: u64,
    pub digest: u64,
    /// Whether the log was folded again for it.
    pub refolded: bool,
}

impl Fs {
    /// Of what is applied now, or, refolded from the log, at an LSN. The latter takes as long as
    /// the log is: ask with a time-out to match.
    pub async fn digest(&self, at_lsn: Option<u64>) -> Result<Digest, Refusal> {
        let request = v1::DigestRequest {
            at_lsn: at_lsn.unwrap_or(0),
        };
        let op = Op::Digest(request);
        let answer = self.shared.dialog.read_patiently(op).await?;
        match answer.body {
            Some(Body::Digest(digest)) => Ok(Digest {
                lsn: digest.lsn,
                digest: digest.digest,
                refolded: digest.refolded,
            }),
            _ => Err(crate::ops::odd_answer("a digest")),
        }
    }
}
