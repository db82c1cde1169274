//! One operation, one file; here what they share: asking, and refusing answers of the wrong kind.

pub(crate) mod append;
pub(crate) mod checksum;
mod copy;
pub(crate) mod digest;
mod link;
mod list;
mod make_directory;
pub(crate) mod read;
mod remove;
mod rename;
pub(crate) mod resolve;
mod set_acl;
pub(crate) mod set_attr;
mod set_xattr;
mod settings;
mod snapshot;
mod stat;
pub(crate) mod status;
mod symlink;
mod test;
mod truncate;
pub(crate) mod write;

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::mutate;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::{Committed, Seen};
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    pub(crate) fn view(&self, when: When) -> Option<v1::View> {
        Some(when.to_wire(self.consistency))
    }

    /// A read; `pick` takes the answer's body, or leaves it when it is of another kind.
    pub(crate) async fn ask<T>(
        &self,
        what: &str,
        op: Op,
        pick: impl FnOnce(Body) -> Option<T>,
    ) -> Result<Seen<T>, Refusal> {
        let answer = self.shared.dialog.read(op).await?;
        let value = answer.body.and_then(pick).ok_or_else(|| odd_answer(what))?;
        Ok(Seen {
            lsn: answer.lsn,
            log_time_us: answer.log_time_us,
            value,
        })
    }

    pub(crate) async fn mutate(&self, at: &Address, op: mutate::Op) -> Result<Committed, Refusal> {
        let mutate = v1::Mutate {
            op: Some(op),
            if_lsn: self.if_lsn,
        };
        self.shared.session.mutate(at, mutate).await
    }
}

pub(crate) fn odd_answer(what: &str) -> Refusal {
    let why = "the materializer answered with something else";
    Refusal::new(Code::Mismatch, what, why)
}
