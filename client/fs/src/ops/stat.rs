//! Stat: one entry, as it is or was; and where a symlink points.

use bytes::Bytes;
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::{Entry, Kind, Seen};
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    /// Symlinks are entries of their own and not followed. `NotFound` when there is nothing.
    pub async fn stat(&self, at: &Address, when: When) -> Result<Seen<Entry>, Refusal> {
        self.stat_with(at, when, (false, false)).await
    }

    /// The same with [`Entry::content`]: the bytes, or the extents that hold them.
    pub async fn stat_with_content(
        &self,
        at: &Address,
        when: When,
    ) -> Result<Seen<Entry>, Refusal> {
        self.stat_with(at, when, (true, false)).await
    }

    /// The same with [`Entry::xattrs`].
    pub async fn stat_with_xattrs(&self, at: &Address, when: When) -> Result<Seen<Entry>, Refusal> {
        self.stat_with(at, when, (false, true)).await
    }

    async fn stat_with(
        &self,
        at: &Address,
        when: When,
        (with_content, with_xattrs): (bool, bool),
    ) -> Result<Seen<Entry>, Refusal> {
        let request = v1::StatRequest {
            path: Some(at.to_wire()),
            view: self.view(when),
            with_content,
            with_xattrs,
        };
        let answer = self.ask("an entry", Op::Stat(request), |body| match body {
            Body::Entry(entry) => Some(Entry::from_wire(entry)),
            _ => None,
        });
        let Seen {
            lsn,
            log_time_us,
            value,
        } = answer.await?;
        Ok(Seen {
            lsn,
            log_time_us,
            value: value?,
        })
    }

    /// `None` when there is nothing at this path.
    pub async fn find(&self, at: &Address, when: When) -> Result<Option<Seen<Entry>>, Refusal> {
        match self.stat(at, when).await {
            Ok(entry) => Ok(Some(entry)),
            Err(refusal) if refusal.code() == Code::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// `WrongKind` when it is no symlink.
    pub async fn read_link(&self, at: &Address, when: When) -> Result<Seen<Bytes>, Refusal> {
        let entry = self.stat(at, when).await?;
        if entry.kind != Kind::Symlink {
            let why = format!("it is a {}, not a symlink", entry.kind.name());
            return Err(Refusal::new(Code::WrongKind, at.to_string(), why).at(entry.lsn));
        }
        Ok(entry.map(|entry| entry.link_target))
    }
}
