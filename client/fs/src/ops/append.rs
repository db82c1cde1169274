//! Append: bytes at the end of a file that is there.

use bytes::Bytes;
use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, v1};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;
use crate::ops::write::Source;
use crate::when::When;

/// A file that others replace so often while it is appended to or truncated is left to them.
pub(crate) const TRIES_MAX: u32 = 16;

#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// Refused with `Conflict` unless the file has this size.
    pub if_size: Option<u64>,
    /// What is known of the length to come.
    pub size: Option<u64>,
    /// Refused with `State` where bytes in the record and bytes in extents would have to lie
    /// together. Otherwise the file is first moved to extents, by a record of its own that changes
    /// no byte of it.
    pub one_record: bool,
}

impl Fs {
    /// Atomic: readers see all of it or nothing. `NotFound` when there is no file.
    pub async fn append(
        &self,
        at: &Address,
        source: Source,
        options: AppendOptions,
    ) -> Result<Committed, Refusal> {
        let mut content = self.store(source, options.size, None).await?;
        let tries = if options.one_record { 1 } else { TRIES_MAX };
        let mut fs = self.clone();
        for _ in 1..tries {
            match fs.join(at, content.clone(), options.if_size).await {
                // Bytes in the record and bytes in extents cannot lie together: extents then.
                Err(refusal) if refusal.code() == Code::State => {}
                answered => return answered,
            }
            content = self.in_extents(content).await?;
            fs = fs.move_to_extents(at).await?;
        }
        fs.join(at, content, options.if_size).await
    }

    async fn join(
        &self,
        at: &Address,
        content: v1::Content,
        if_size: Option<u64>,
    ) -> Result<Committed, Refusal> {
        let append = v1::Append {
            path: Some(at.to_wire()),
            content: Some(content),
            if_size,
        };
        self.mutate(at, mutate::Op::Append(append)).await
    }

    /// The same bytes, outside the record.
    async fn in_extents(&self, content: v1::Content) -> Result<v1::Content, Refusal> {
        if content.inline.is_empty() {
            return Ok(content);
        }
        let mut writer = self.shared.extents.writer(Some(content.size), None);
        writer.push(content.inline).await?;
        let stored = writer.finish().await?;
        Ok(v1::Content {
            size: stored.size,
            crc32c: stored.crc32c,
            inline: Bytes::new(),
            extents: stored.extents,
        })
    }

    /// Nobody sees a difference, and nothing happens if the file has changed meanwhile. Whoever asks for
    /// a version goes on with the one that this made.
    pub(crate) async fn move_to_extents(&self, at: &Address) -> Result<Fs, Refusal> {
        let entry = self.stat_with_content(at, When::Head).await?;
        let content = entry.content.clone().unwrap_or_default();
        if content.inline.is_empty() {
            return Ok(self.clone());
        }
        let attr = v1::Attr {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime_ns: entry.mtime_ns,
        };
        let commit = v1::Commit {
            path: Some(at.to_wire()),
            attr: Some(attr),
            content: Some(self.in_extents(content).await?),
            mode: v1::CommitMode::Replace as i32,
            if_lsn: Some(entry.value.lsn),
        };
        match self.mutate(at, mutate::Op::Commit(commit)).await {
            Err(refusal) if refusal.code() == Code::Conflict => Ok(self.clone()),
            moved => {
                let lsn = moved?.lsn;
                Ok(self.with_if_lsn(self.if_lsn.map(|_| lsn)))
            }
        }
    }
}
