//! Read: the bytes of a file, whole or a range of it, as a stream.

use std::ops::Range;

use bytes::Bytes;
use dfs_extents::{Crc32c, crc32c};
use dfs_wire::{Code, Refusal, v1};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::address::Address;
use crate::entry::{Entry, Seen};
use crate::fs::Fs;
use crate::when::When;

/// A file that is being read: what it is, and its bytes.
pub struct Reading {
    pub entry: Seen<Entry>,
    /// In order; after a refusal nothing follows.
    pub bytes: BoxStream<'static, Result<Bytes, Refusal>>,
}

impl Reading {
    /// All bytes at once: for what is known to be small.
    pub async fn collect(self) -> Result<Bytes, Refusal> {
        let parts: Vec<Bytes> = self.bytes.try_collect().await?;
        Ok(match <[Bytes; 1]>::try_from(parts) {
            Ok([whole]) => whole,
            Err(parts) => parts.concat().into(),
        })
    }
}

impl Fs {
    /// The bytes `range` of a file (`None`: all); what lies beyond its end is left out. Read
    /// wholly, they have the checksum of the record, or the stream ends with `Corrupt` (F4).
    pub async fn read(
        &self,
        at: &Address,
        when: When,
        range: Option<Range<u64>>,
    ) -> Result<Reading, Refusal> {
        let entry = self.stat_with_content(at, when).await?;
        if !entry.is_file() {
            let why = format!("it is a {}, not a file", entry.kind.name());
            return Err(Refusal::new(Code::WrongKind, at.to_string(), why).at(entry.lsn));
        }
        let bytes = self.read_content(&at.to_string(), entry.content.as_ref(), range)?;
        Ok(Reading { entry, bytes })
    }

    /// The same of content that is already known; `name` is for refusals.
    pub(crate) fn read_content(
        &self,
        name: &str,
        content: Option<&v1::Content>,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, Refusal>>, Refusal> {
        let Some(content) = content else {
            return Ok(stream::empty().boxed());
        };
        let range = range.unwrap_or(0..content.size);
        let range = range.start.min(content.size)..range.end.min(content.size);
        if content.extents.is_empty() {
            let bytes = content.inline.clone();
            if bytes.len() as u64 != content.size || crc32c(&bytes) != content.crc32c {
                return Err(corrupt(name));
            }
            let bytes = bytes.slice(range.start as usize..range.end.max(range.start) as usize);
            return Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed());
        }
        let whole = range == (0..content.size);
        let bytes = self.shared.extents.read(&content.extents, range);
        Ok(if whole {
            checked(bytes, name.to_owned(), content)
        } else {
            bytes
        })
    }
}

/// F4: compares size and checksum when all bytes have gone by. A file whose extents were cut has no
/// checksum of the whole (0); the extents' own were compared where they were loaded.
fn checked(
    bytes: BoxStream<'static, Result<Bytes, Refusal>>,
    name: String,
    content: &v1::Content,
) -> BoxStream<'static, Result<Bytes, Refusal>> {
    let (size, crc) = (content.size, content.crc32c);
    let state = (bytes, Crc32c::default(), 0u64, name);
    let checked = stream::try_unfold(
        state,
        move |(mut bytes, mut sum, mut length, name)| async move {
            match bytes.try_next().await? {
                Some(part) => {
                    sum.update(&part);
                    length += part.len() as u64;
                    Ok(Some((part, (bytes, sum, length, name))))
                }
                None if length == size && (crc == 0 || sum.value() == crc) => Ok(None),
                None => Err(corrupt(&name)),
            }
        },
    );
    checked.boxed()
}

fn corrupt(name: &str) -> Refusal {
    let why = "its bytes do not have the size and checksum of its record";
    Refusal::new(Code::Corrupt, name, why)
}
