//! What is appended to a file, as it comes (`tail -f`).

use std::time::Duration;

use bytes::Bytes;
use dfs_wire::Refusal;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::address::Address;
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    /// The bytes from `offset` on, then those that come, looked for every `every`. A file that has
    /// become shorter is read from its beginning. It ends only by a refusal: `NotFound` when the
    /// file is gone.
    pub fn follow(
        &self,
        at: &Address,
        offset: u64,
        every: Duration,
    ) -> BoxStream<'static, Result<Bytes, Refusal>> {
        let (fs, at) = (self.clone(), at.clone());
        let state = (fs, at, offset, true);
        let rounds = stream::try_unfold(state, move |(fs, at, offset, first)| async move {
            if !first {
                fs.env().sleep(every).await;
            }
            let entry = fs.stat(&at, When::Head).await?;
            let from = if entry.size < offset { 0 } else { offset };
            let bytes = if from < entry.size {
                let when = When::Lsn(entry.lsn);
                fs.read(&at, when, Some(from..entry.size)).await?.bytes
            } else {
                stream::empty().boxed()
            };
            let size = entry.size;
            Ok::<_, Refusal>(Some((bytes, (fs, at, size, false))))
        });
        rounds.try_flatten().boxed()
    }
}
