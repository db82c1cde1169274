//! Units, a placer and a connector in memory, which misbehave as they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dfs_env::Env;
use dfs_extents::{Extents, ExtentsConfig, Placer, crc32c};
use dfs_rpc::roles::{Answers, Connector, LogUnit, Materializer, Requests, Sequencer};
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Small blocks, so that small extents have many.
pub(crate) const BLOCK: usize = 4096;

/// What a unit does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    RefusesStores,
    /// Answers neither stores nor loads.
    Hangs,
    /// Says that it stored something else.
    StoresOther,
    Absent,
    /// Flips this bit of the data it sends.
    FlipsBit(usize),
    /// The same, with checksums that fit.
    FlipsBitAndChecksums(usize),
    /// Sends the first part of what was asked for.
    EndsEarly,
    /// Begins one block late.
    WrongPlace,
    /// Holds stores until `released`.
    Holds,
    /// Not reachable, and Members says so.
    Away,
    /// Not reachable, and another unit has its slot.
    Dead,
}

#[derive(Default)]
pub(crate) struct Unit {
    pub(crate) fault: Mutex<Fault>,
    pub(crate) extents: Mutex<BTreeMap<(u64, u64), Bytes>>,
    pub(crate) loads: AtomicU64,
    pub(crate) held_bytes: AtomicU64,
    pub(crate) released: Notify,
}

fn key(extent: Option<v1::ExtentId>) -> (u64, u64) {
    let id = extent.expect("an extent id");
    (id.session, id.counter)
}

impl Unit {
    fn fault(&self) -> Fault {
        *self.fault.lock()
    }

    fn parts(&self, request: &v1::LoadRequest, stored: Bytes) -> Vec<v1::load_part::Part> {
        let mut data = stored.to_vec();
        let mut sums: Vec<u32> = data.chunks(BLOCK).map(crc32c).collect();
        match self.fault() {
            Fault::FlipsBit(bit) => data[bit / 8] ^= 1 << (bit % 8),
            Fault::FlipsBitAndChecksums(bit) => {
                data[bit / 8] ^= 1 << (bit % 8);
                sums = data.chunks(BLOCK).map(crc32c).collect();
            }
            _ => {}
        }
        let length = match request.length {
            0 => data.len() - request.offset as usize,
            length => length as usize,
        };
        let mut from = request.offset as usize / BLOCK * BLOCK;
        if self.fault() == Fault::WrongPlace {
            from += BLOCK;
        }
        let to = (request.offset as usize + length)
            .next_multiple_of(BLOCK)
            .min(data.len());
        let header = v1::LoadHeader {
            extent_length: data.len() as u32,
            data_offset: from as u32,
            data_length: (to - from) as u32,
            block_crc32c: sums,
            block_bytes: BLOCK as u32,
        };
        let mut parts = vec![v1::load_part::Part::Header(header)];
        let pieces = data[from..to].chunks(16 * BLOCK);
        parts.extend(pieces.map(|p| v1::load_part::Part::Data(Bytes::copy_from_slice(p))));
        if self.fault() == Fault::EndsEarly {
            parts.pop();
        }
        parts
    }
}

#[async_trait]
impl LogUnit for Unit {
    async fn append(
        &self,
        _: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        Err(Refusal::new(Code::Unavailable, "append", "a fake"))
    }

    async fn scan(&self, _: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        Err(Refusal::new(Code::Unavailable, "scan", "a fake"))
    }

    async fn store(&self, mut parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        let (mut header, mut data, mut sum) = (None, Vec::new(), 0);
        while let Some(part) = parts.next().await {
            match part.part.expect("a part") {
                v1::store_part::Part::Header(first) => header = Some(first),
                v1::store_part::Part::Data(bytes) => data.extend_from_slice(&bytes),
                v1::store_part::Part::Trailer(trailer) => sum = trailer.crc32c,
            }
        }
        let header = header.expect("a header first");
        assert_eq!(header.length as usize, data.len());
        assert_eq!(
            sum,
            crc32c(&data),
            "the trailer's checksum is that of the data"
        );
        match self.fault() {
            Fault::RefusesStores => {
                return Err(Refusal::new(Code::Unavailable, "store", "a fake"));
            }
            Fault::Hangs => std::future::pending().await,
            Fault::Holds => {
                self.held_bytes
                    .fetch_add(data.len() as u64, Ordering::SeqCst);
                self.released.notified().await;
            }
            _ => {}
        }
        let other = u32::from(self.fault() == Fault::StoresOther);
        self.extents.lock().insert(key(header.extent), data.into());
        Ok(v1::Stored {
            extent: header.extent,
            length: header.length,
            crc32c: sum ^ other,
        })
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.fault() == Fault::Hangs {
            std::future::pending::<()>().await;
        }
        let stored = self.extents.lock().get(&key(request.extent)).cloned();
        let Some(stored) = stored.filter(|_| self.fault() != Fault::Absent) else {
            return Err(Refusal::new(Code::Absent, "load", "never heard of it"));
        };
        let parts = self.parts(&request, stored).into_iter();
        let parts = parts.map(|part| Ok(v1::LoadPart { part: Some(part) }));
        Ok(stream::iter(parts.collect::<Vec<_>>()).boxed())
    }

    async fn status(&self, _: v1::UnitStatusRequest) -> Result<v1::UnitStatusAnswer, Refusal> {
        Ok(v1::UnitStatusAnswer::default())
    }
}

/// Units 1 to n in groups, all reachable.
pub(crate) struct Cluster {
    pub(crate) units: BTreeMap<u64, Arc<Unit>>,
    pub(crate) groups: BTreeMap<u64, Vec<u64>>,
    counter: AtomicU64,
    /// What writers reported.
    pub(crate) reported: Mutex<Vec<u64>>,
}

impl Cluster {
    /// `groups`: the units of group 1, group 2, …
    pub(crate) fn new(groups: &[&[u64]]) -> Arc<Cluster> {
        let ids = groups.iter().flat_map(|units| units.iter().copied());
        Arc::new(Cluster {
            units: ids.map(|id| (id, Arc::default())).collect(),
            groups: (1..)
                .zip(groups)
                .map(|(id, units)| (id, units.to_vec()))
                .collect(),
            counter: AtomicU64::new(0),
            reported: Mutex::default(),
        })
    }

    pub(crate) fn extents(self: &Arc<Cluster>, config: ExtentsConfig) -> Extents {
        Extents::new(Env::real(), self.clone(), self.clone(), config)
    }

    pub(crate) fn set(&self, unit: u64, fault: Fault) {
        *self.units[&unit].fault.lock() = fault;
    }

    pub(crate) fn set_all(&self, fault: Fault) {
        self.units
            .values()
            .for_each(|unit| *unit.fault.lock() = fault);
    }

    fn placement(&self, wanted: impl Fn(u64) -> bool) -> v1::Placement {
        let wanted = self.groups.iter().filter(|(group, _)| wanted(**group));
        let groups = wanted.map(|(group, units)| v1::Group {
            group: *group,
            generation: 1,
            unit_ids: units.clone(),
            ..v1::Group::default()
        });
        let units = self.units.iter().map(|(unit_id, unit)| v1::UnitRef {
            unit_id: *unit_id,
            live: !matches!(unit.fault(), Fault::Away | Fault::Dead),
            state: match unit.fault() {
                Fault::Dead => v1::UnitState::Dead as i32,
                _ => v1::UnitState::Active as i32,
            },
            ..v1::UnitRef::default()
        });
        v1::Placement {
            groups: groups.collect(),
            units: units.collect(),
        }
    }
}

#[async_trait]
impl Placer for Cluster {
    async fn place(
        &self,
        _: Option<v1::Redundancy>,
        failed_groups: Vec<u64>,
    ) -> Result<v1::Placement, Refusal> {
        self.reported.lock().extend(&failed_groups);
        let placement = self.placement(|group| !failed_groups.contains(&group));
        if placement.groups.is_empty() {
            return Err(Refusal::new(Code::Unavailable, "place", "no group is left"));
        }
        // Only the first, so that tests know where extents go.
        Ok(v1::Placement {
            groups: placement.groups[..1].to_vec(),
            ..placement
        })
    }

    async fn groups(&self, groups: Vec<u64>) -> Result<v1::Placement, Refusal> {
        Ok(self.placement(|group| groups.contains(&group)))
    }

    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal> {
        let counter = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(v1::ExtentId {
            session: 7,
            counter,
        })
    }
}

#[async_trait]
impl Connector for Cluster {
    async fn sequencer(&self) -> Result<Arc<dyn Sequencer>, Refusal> {
        Err(Refusal::new(Code::Unavailable, "sequencer", "a fake"))
    }

    async fn unit(&self, unit_id: u64, _: &str) -> Result<Arc<dyn LogUnit>, Refusal> {
        let unit = self.units[&unit_id].clone();
        if matches!(unit.fault(), Fault::Away | Fault::Dead) {
            return Err(Refusal::new(Code::Unavailable, "unit", "no route to it"));
        }
        Ok(unit)
    }

    async fn materializer(&self, _: &str) -> Result<Arc<dyn Materializer>, Refusal> {
        Err(Refusal::new(Code::Unavailable, "materializer", "a fake"))
    }
}

/// Bytes that differ everywhere, also at distances of powers of two.
pub(crate) fn bytes(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
