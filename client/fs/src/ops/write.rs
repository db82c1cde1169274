//! Write: a whole file. Small contents ride in the record, the rest goes to extents first.

use bytes::{Bytes, BytesMut};
use dfs_extents::crc32c;
use dfs_wire::v1::mutate;
use dfs_wire::{Code, Refusal, limits, settings, v1};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::address::Address;
use crate::entry::Committed;
use crate::fs::Fs;

/// Bytes as they come; a refusal in it ends the write, and nothing is committed.
pub type Source = BoxStream<'static, Result<Bytes, Refusal>>;

/// A source of bytes that are all there.
pub fn source_of(bytes: impl Into<Bytes>) -> Source {
    let bytes = bytes.into();
    stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
}

/// How a file is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Permission bits; `None`: 0644.
    pub mode: Option<u32>,
    /// `None`: those of the configuration.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// `None`: now, by this machine's clock.
    pub mtime_ns: Option<i64>,
    /// Refused with `Exists` when there is an entry.
    pub create_only: bool,
    /// Refused with `Conflict` unless the entry's version is this LSN (0: there is none).
    pub if_lsn: Option<u64>,
    /// What is known of the length, for reserving memory; it need not be right.
    pub size: Option<u64>,
    /// `None`: the default of the cluster.
    pub redundancy: Option<v1::Redundancy>,
}

impl Fs {
    /// Makes the file, or sets content and attributes of the one there. Readers see the old whole
    /// or the new whole. The directory above must exist.
    pub async fn write(
        &self,
        at: &Address,
        source: Source,
        options: WriteOptions,
    ) -> Result<Committed, Refusal> {
        let span = self.shared.dialog.step("fs.write");
        if span.is_kept() {
            span.set("path", at);
        }
        Box::pin(span.covers(self.write_file(at, source, options))).await
    }

    async fn write_file(
        &self,
        at: &Address,
        source: Source,
        options: WriteOptions,
    ) -> Result<Committed, Refusal> {
        let content = self.store(source, options.size, options.redundancy).await?;
        let mode = match options.create_only {
            true => v1::CommitMode::Create,
            false => v1::CommitMode::Replace,
        };
        let attr = v1::Attr {
            mode: options.mode.unwrap_or(0o644),
            uid: options.uid.unwrap_or(self.config().uid),
            gid: options.gid.unwrap_or(self.config().gid),
            mtime_ns: options.mtime_ns.unwrap_or_else(|| self.now_ns()),
        };
        let commit = v1::Commit {
            path: Some(at.to_wire()),
            attr: Some(attr),
            content: Some(content),
            mode: mode as i32,
            if_lsn: options.if_lsn,
        };
        self.mutate(at, mutate::Op::Commit(commit)).await
    }

    pub(crate) fn now_ns(&self) -> i64 {
        self.env().wall_us() as i64 * 1000
    }

    /// F3: everything stored, or ready to ride in the record.
    pub(crate) async fn store(
        &self,
        mut source: Source,
        size: Option<u64>,
        redundancy: Option<v1::Redundancy>,
    ) -> Result<v1::Content, Refusal> {
        let settings = self.settings_in_force().await?;
        let inline_max = inline_bytes_max(&settings);
        let mut first: Vec<Bytes> = Vec::new();
        let mut length = 0;
        while length <= inline_max {
            match source.try_next().await? {
                Some(part) => {
                    length += part.len();
                    first.push(part);
                }
                None => return Ok(inline(first)),
            }
        }
        let span = self.shared.dialog.step("fs.store");
        let storing = self.store_in_extents((first, source), size, redundancy, &settings);
        Box::pin(span.covers(storing)).await
    }

    async fn store_in_extents(
        &self,
        (first, mut source): (Vec<Bytes>, Source),
        size: Option<u64>,
        redundancy: Option<v1::Redundancy>,
        settings: &v1::Settings,
    ) -> Result<v1::Content, Refusal> {
        let mut length: usize = first.iter().map(Bytes::len).sum();
        let mut writer = self.shared.extents.writer(size, redundancy);
        for part in first {
            writer.push(part).await?;
        }
        check_length(length, settings)?;
        while let Some(part) = source.try_next().await? {
            length += part.len();
            check_length(length, settings)?;
            writer.push(part).await?;
        }
        let stored = writer.finish().await?;
        Ok(v1::Content {
            size: stored.size,
            crc32c: stored.crc32c,
            inline: Bytes::new(),
            extents: stored.extents,
        })
    }

    /// At most a second old.
    async fn settings_in_force(&self) -> Result<v1::Settings, Refusal> {
        let deadline = self.shared.dialog.deadline();
        let grant = self.shared.session.settings(deadline).await?;
        Ok(grant.settings)
    }
}

fn inline_bytes_max(settings: &v1::Settings) -> usize {
    (settings.inline_bytes_max as usize).min(limits::INLINE_BYTES_MAX)
}

/// The primary would refuse it too, but only after everything has been stored.
fn check_length(length: usize, settings: &v1::Settings) -> Result<(), Refusal> {
    let setting = settings::of(v1::Setting::FileBytesMax);
    if length as u64 <= setting.get(settings) {
        return Ok(());
    }
    let why = setting.exceeded(format!("{length} bytes came"), settings);
    Err(Refusal::new(Code::Invalid, "the file", why).advice(setting.advice()))
}

fn inline(parts: Vec<Bytes>) -> v1::Content {
    let bytes = match <[Bytes; 1]>::try_from(parts) {
        Ok([whole]) => whole,
        Err(parts) => {
            let mut joined = BytesMut::new();
            parts.iter().for_each(|part| joined.extend_from_slice(part));
            joined.freeze()
        }
    };
    v1::Content {
        size: bytes.len() as u64,
        crc32c: crc32c(&bytes),
        inline: bytes,
        extents: Vec::new(),
    }
}
