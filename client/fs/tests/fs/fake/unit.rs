//! One unit that holds extents in memory, and the one group it makes up.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use dfs_extents::crc32c;
use dfs_rpc::roles::{Answers, LogUnit, Requests};
use dfs_wire::{Code, Refusal, limits, v1};
use futures::{StreamExt, stream};
use parking_lot::Mutex;

#[derive(Default)]
pub(crate) struct Unit {
    pub(crate) extents: Mutex<BTreeMap<(u64, u64), Bytes>>,
}

pub(crate) fn placement() -> v1::Placement {
    let group = v1::Group {
        group: 1,
        generation: 1,
        unit_ids: vec![1],
        ..v1::Group::default()
    };
    let unit = v1::UnitRef {
        unit_id: 1,
        live: true,
        ..v1::UnitRef::default()
    };
    v1::Placement {
        groups: vec![group],
        units: vec![unit],
    }
}

fn key(extent: Option<v1::ExtentId>) -> (u64, u64) {
    let id = extent.expect("an extent id");
    (id.session, id.counter)
}

#[async_trait]
impl LogUnit for Unit {
    async fn append(
        &self,
        _: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        super::absent()
    }

    async fn scan(&self, _: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        super::absent()
    }

    async fn store(&self, mut parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        let (mut header, mut data) = (None, Vec::new());
        while let Some(part) = parts.next().await {
            match part.part {
                Some(v1::store_part::Part::Header(first)) => header = Some(first),
                Some(v1::store_part::Part::Data(bytes)) => data.extend_from_slice(&bytes),
                _ => {}
            }
        }
        let header = header.expect("a header first");
        let sum = crc32c(&data);
        self.extents.lock().insert(key(header.extent), data.into());
        Ok(v1::Stored {
            extent: header.extent,
            length: header.length,
            crc32c: sum,
        })
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        let stored = self.extents.lock().get(&key(request.extent)).cloned();
        let Some(data) = stored else {
            return Err(Refusal::new(Code::Absent, "load", "never heard of it"));
        };
        let block = limits::BLOCK_BYTES;
        let from = request.offset as usize / block * block;
        let to = (request.offset + request.length) as usize;
        let to = to.next_multiple_of(block).min(data.len());
        let header = v1::LoadHeader {
            extent_length: data.len() as u32,
            data_offset: from as u32,
            data_length: (to - from) as u32,
            block_crc32c: data.chunks(block).map(crc32c).collect(),
            block_bytes: block as u32,
        };
        let mut parts = vec![v1::load_part::Part::Header(header)];
        let pieces = (from..to).step_by(limits::PART_BYTES_MAX);
        parts.extend(pieces.map(|at| {
            let end = to.min(at + limits::PART_BYTES_MAX);
            v1::load_part::Part::Data(data.slice(at..end))
        }));
        let parts = parts
            .into_iter()
            .map(|part| Ok(v1::LoadPart { part: Some(part) }));
        Ok(stream::iter(parts.collect::<Vec<_>>()).boxed())
    }

    async fn status(&self, _: v1::UnitStatusRequest) -> Result<v1::UnitStatusAnswer, Refusal> {
        Ok(v1::UnitStatusAnswer::default())
    }
}
