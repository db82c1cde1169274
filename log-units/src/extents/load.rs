//! Load: the checksums of all blocks, then whole blocks, each verified before it is sent.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dfs_env::DiskFile;
use dfs_rpc::roles::Answers;
use dfs_wire::frame::crc32c;
use dfs_wire::limits::{BLOCK_BYTES, PART_BYTES_MAX};
use dfs_wire::v1::load_part::Part;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};

use crate::extents::index::{Id, id_of, name};
use crate::extents::layout::{BEGIN_BYTES, Placed};
use crate::extents::open::read_tail;
use crate::extents::store::Extents;

const BLOCKS_PER_PART: usize = PART_BYTES_MAX / BLOCK_BYTES;

/// What is left to be sent.
struct Reading {
    id: Id,
    file: Arc<dyn DiskFile>,
    /// Of the data in the file.
    data_at: u64,
    blocks: Vec<u32>,
    next_block: usize,
    end_block: usize,
    length: u32,
}

impl Extents {
    pub(crate) async fn load(
        &self,
        request: v1::LoadRequest,
    ) -> Result<Answers<v1::LoadPart>, Refusal> {
        let id = id_of(request.extent)?;
        let reading = self.noted(id, self.open_extent(id).await)?;
        let (header, reading) = reading.narrow(&request)?;
        let first = stream::once(async move { Ok(part(Part::Header(header))) });
        let given = (self.index.clone(), self.loaded_bytes.clone());
        let data = stream::try_unfold((reading, given), |(mut reading, given)| async move {
            let data = reading.next().await;
            let data = data.inspect_err(|_| given.0.found_unreadable(reading.id))?;
            given.1.add(data.as_ref().map_or(0, Bytes::len) as u64);
            let reading = (reading, given);
            Ok(data.map(|data| (part(Part::Data(data)), reading)))
        });
        Ok(first.chain(data).boxed())
    }

    /// Damage is counted.
    fn noted<T>(&self, id: Id, read: Result<T, Refusal>) -> Result<T, Refusal> {
        let corrupt = |refusal: &Refusal| refusal.code() == Code::Corrupt;
        read.inspect_err(|refusal| {
            if corrupt(refusal) {
                self.index.found_unreadable(id);
            }
        })
    }

    async fn open_extent(&self, id: Id) -> Result<Reading, Refusal> {
        let entry = self.index.find(id)?;
        let found = self.files.lock().get(&entry.file_no).cloned();
        let Some(found) = found else {
            return Err(corrupt(id, "its file is gone"));
        };
        let placed = Placed {
            file_nonce: found.file_nonce,
            offset: entry.offset(),
            session: id.0,
            counter: id.1,
            group: 0,
            length: entry.length,
        };
        let tail = read_tail(&*found.file, &placed)
            .await
            .map_err(|e| unreadable(id, &e))?;
        let (blocks, _) = tail.ok_or_else(|| corrupt(id, "its table of checksums is damaged"))?;
        Ok(Reading {
            id,
            file: found.file,
            data_at: entry.offset() + BEGIN_BYTES,
            next_block: 0,
            end_block: blocks.len(),
            blocks,
            length: entry.length,
        })
    }
}

impl Reading {
    /// Keeps the blocks that hold the range asked for.
    fn narrow(mut self, request: &v1::LoadRequest) -> Result<(v1::LoadHeader, Self), Refusal> {
        if request.offset >= self.length {
            let why = format!("it has {} bytes, none at {}", self.length, request.offset);
            return Err(Refusal::new(Code::Invalid, name(self.id), why));
        }
        let left = self.length - request.offset;
        let asked = if request.length == 0 {
            left
        } else {
            request.length.min(left)
        };
        self.next_block = request.offset as usize / BLOCK_BYTES;
        self.end_block = (request.offset as usize + asked as usize).div_ceil(BLOCK_BYTES);
        let data_offset = (self.next_block * BLOCK_BYTES) as u32;
        let end = (self.end_block * BLOCK_BYTES).min(self.length as usize) as u32;
        let header = v1::LoadHeader {
            extent_length: self.length,
            data_offset,
            data_length: end - data_offset,
            block_crc32c: self.blocks.clone(),
            block_bytes: BLOCK_BYTES as u32,
        };
        Ok((header, self))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if self.next_block >= self.end_block {
            return Ok(None);
        }
        let first = self.next_block;
        self.next_block = (first + BLOCKS_PER_PART).min(self.end_block);
        let (start, end) = (first * BLOCK_BYTES, self.next_block * BLOCK_BYTES);
        let end = end.min(self.length as usize);
        let read = self
            .file
            .read_at(self.data_at + start as u64, end - start)
            .await;
        let data = read.map_err(|e| unreadable(self.id, &e))?;
        let sums = self.blocks.get(first..self.next_block).unwrap_or_default();
        let blocks = data.chunks(BLOCK_BYTES);
        let intact =
            data.len() == end - start && blocks.zip(sums).all(|(block, crc)| crc32c(block) == *crc);
        if intact {
            Ok(Some(data))
        } else {
            Err(corrupt(self.id, "a block is damaged"))
        }
    }
}

fn part(part: Part) -> v1::LoadPart {
    v1::LoadPart { part: Some(part) }
}

/// LOG-U7: never "absent".
fn corrupt(id: Id, why: &str) -> Refusal {
    tracing::warn!(extent = name(id), why, "load an extent");
    Refusal::new(Code::Corrupt, name(id), why)
}

fn unreadable(id: Id, e: &io::Error) -> Refusal {
    corrupt(id, &format!("the disk does not read it: {e}"))
}
