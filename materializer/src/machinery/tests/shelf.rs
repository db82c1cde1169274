//! A log unit in memory that keeps extents, and can be made to lose or damage them.
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dfs_extents::crc32c;
use dfs_rpc::roles::{Answers, Connector, LogUnit, Materializer, Requests, Sequencer};
use dfs_wire::limits::{BLOCK_BYTES, PART_BYTES_MAX};
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use parking_lot::Mutex;

/// Outlives the nodes that use it.
#[derive(Clone, Default)]
pub(super) struct Shelf {
    extents: Arc<Mutex<BTreeMap<(u64, u64), Bytes>>>,
    /// After so many more stores, none is answered.
    pub(super) hangs_after: Arc<Mutex<Option<u32>>>,
}

pub(super) fn unit() -> v1::UnitRef {
    v1::UnitRef {
        unit_id: 1,
        state: v1::UnitState::Active as i32,
        rack: "r".to_owned(),
        address: "unit-1:9010".to_owned(),
        live: true,
        ..Default::default()
    }
}

fn key(extent: &v1::ExtentId) -> (u64, u64) {
    (extent.session, extent.counter)
}

impl Shelf {
    pub(super) fn count(&self) -> usize {
        self.extents.lock().len()
    }

    /// One bit, in the middle.
    pub(super) fn damage(&self, extent: &v1::ExtentId) {
        let mut extents = self.extents.lock();
        let bytes = extents.get_mut(&key(extent)).expect("a stored extent");
        let mut damaged = bytes.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        *bytes = damaged.into();
    }

    async fn may_store(&self) {
        let hangs = {
            let mut left = self.hangs_after.lock();
            let hangs = *left == Some(0);
            *left = left.map(|left| left.saturating_sub(1));
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
    }
}

fn absent<T>(what: &str) -> Result<T, Refusal> {
    Err(Refusal::new(Code::Absent, what, "this unit is a shelf"))
}

#[async_trait]
impl LogUnit for Shelf {
    async fn append(
        &self,
        _: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        absent("append")
    }

    async fn scan(&self, _: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        absent("scan")
    }

    async fn store(&self, mut parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        self.may_store().await;
        let (mut extent, mut data) = (None, Vec::new());
        while let Some(part) = parts.next().await {
            match part.part {
                Some(v1::store_part::Part::Header(header)) => extent = header.extent,
                Some(v1::store_part::Part::Data(bytes)) => data.extend_from_slice(&bytes),
                _ => {}
            }
        }
        let stored = v1::Stored {
            extent,
            length: data.len() as u32,
            crc32c: crc32c(&data),
        };
        let key = key(&extent.expect("a header"));
        self.extents.lock().insert(key, data.into());
        Ok(stored)
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        let known = self.extents.lock();
        let found = known
            .get(&key(&request.extent.unwrap_or_default()))
            .cloned();
        drop(known);
        let Some(data) = found else {
            return absent("extent");
        };
        let header = v1::LoadHeader {
            extent_length: data.len() as u32,
            data_offset: 0,
            data_length: data.len() as u32,
            block_crc32c: data.chunks(BLOCK_BYTES).map(crc32c).collect(),
            block_bytes: BLOCK_BYTES as u32,
        };
        let mut parts = vec![v1::load_part::Part::Header(header)];
        let pieces = (0..data.len()).step_by(PART_BYTES_MAX);
        parts.extend(pieces.map(|at| {
            let end = data.len().min(at + PART_BYTES_MAX);
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

#[async_trait]
impl Connector for Shelf {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        absent("sequencer")
    }

    async fn unit(&self, _: u64, _: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        Ok(Arc::new(self.clone()))
    }

    async fn materializer(&self, _: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        absent("materializer")
    }
}
