//! One extent to every member of an open group; in another group when a member fails or drags.

use std::sync::Arc;

use bytes::Bytes;
use dfs_rpc::roles::LogUnit;
use dfs_rpc::trace::{Span, Who};
use dfs_wire::{Code, Refusal, limits, v1};
use futures::future::join_all;
use futures::{StreamExt, stream};

use crate::extents::Shared;
use crate::placement::Holders;

/// Bytes of one extent, cut and checksummed.
pub(crate) struct Cut {
    pub(crate) parts: Vec<Bytes>,
    pub(crate) length: u32,
    pub(crate) crc32c: u32,
}

/// Full units in this many groups one after the other: the cluster is full, not one unit.
const FULL_GROUPS_MAX: u32 = 3;

/// Stores `cut` and says where (W1), trying group after group until the time-out.
pub(crate) async fn store(
    shared: Arc<Shared>,
    cut: Cut,
    redundancy: Option<v1::Redundancy>,
) -> Result<v1::ExtentRef, Refusal> {
    let deadline = shared.env.now() + shared.config.timeout;
    let mut failed: Vec<u64> = Vec::new();
    let mut full = 0;
    for round in 0.. {
        let refusal = match shared.placement.open(redundancy.as_ref(), &failed).await {
            Ok(holders) => match store_in(&shared, &holders, &cut).await {
                Ok(stored) => return Ok(stored),
                Err(refusal) => {
                    let group = holders.group.group;
                    tracing::info!(group, %refusal, "storing an extent elsewhere");
                    shared.placement.forget_open(group);
                    failed.push(group);
                    refusal
                }
            },
            // Nobody else is there: perhaps those that failed are well again.
            Err(refusal) if !failed.is_empty() => {
                failed.clear();
                refusal
            }
            Err(refusal) => refusal,
        };
        full += u32::from(refusal.code() == Code::NoSpace);
        if !refusal.is_retryable() || full >= FULL_GROUPS_MAX || shared.env.now() >= deadline {
            return Err(refusal);
        }
        shared.pause(round).await;
    }
    Err(stopped())
}

async fn store_in(shared: &Shared, holders: &Holders, cut: &Cut) -> Result<v1::ExtentRef, Refusal> {
    let group = &holders.group;
    if holders.units.len() != group.unit_ids.len() || holders.units.is_empty() {
        let what = format!("group {}", group.group);
        return Err(Refusal::new(
            Code::Unavailable,
            what,
            "not all its units have an address",
        ));
    }
    let extent = shared.placer.next_extent().await?;
    let header = v1::StoreHeader {
        unit_id: 0,
        extent: Some(extent),
        group: group.group,
        length: cut.length,
    };
    let stores = holders
        .units
        .iter()
        .map(|unit| store_on(shared, unit, header, cut));
    for stored in join_all(stores).await {
        stored?;
    }
    Ok(v1::ExtentRef {
        extent: Some(extent),
        group: group.group,
        generation: group.generation,
        stored_length: cut.length,
        crc32c: cut.crc32c,
        skip: 0,
        length: cut.length,
    })
}

async fn store_on(
    shared: &Shared,
    member: &v1::UnitRef,
    header: v1::StoreHeader,
    cut: &Cut,
) -> Result<(), Refusal> {
    let span = Span::here(&shared.env, "extents.store", Who::CLIENT)
        .with("unit", member.unit_id)
        .with("group", header.group)
        .with("bytes", header.length);
    span.waits_for(|| format!("unit {}", member.unit_id));
    span.covers(store_at(shared, member, header, cut)).await
}

async fn store_at(
    shared: &Shared,
    member: &v1::UnitRef,
    header: v1::StoreHeader,
    cut: &Cut,
) -> Result<(), Refusal> {
    let unit_id = member.unit_id;
    let asked = async {
        let unit = shared.unit(member).await?;
        send(unit, v1::StoreHeader { unit_id, ..header }, cut).await
    };
    let what = || format!("storing on unit {unit_id}");
    let stored = match shared.env.timeout(shared.config.store_timeout, asked).await {
        Ok(stored) => stored,
        Err(_) => Err(Refusal::new(Code::Unavailable, what(), "it drags")),
    };
    let stored = stored.inspect_err(|_| shared.health.failed(unit_id))?;
    if (stored.length, stored.crc32c) != (cut.length, cut.crc32c) {
        shared.health.failed(unit_id);
        return Err(Refusal::new(
            Code::Unavailable,
            what(),
            "it stored other bytes than it was sent",
        ));
    }
    Ok(())
}

async fn send(
    unit: Arc<dyn LogUnit>,
    header: v1::StoreHeader,
    cut: &Cut,
) -> Result<v1::Stored, Refusal> {
    let part = |part| v1::StorePart { part: Some(part) };
    let trailer = v1::StoreTrailer { crc32c: cut.crc32c };
    let mut parts = vec![part(v1::store_part::Part::Header(header))];
    for bytes in &cut.parts {
        let pieces = (0..bytes.len()).step_by(limits::PART_BYTES_MAX);
        parts.extend(pieces.map(|at| {
            let end = bytes.len().min(at + limits::PART_BYTES_MAX);
            part(v1::store_part::Part::Data(bytes.slice(at..end)))
        }));
    }
    parts.push(part(v1::store_part::Part::Trailer(trailer)));
    unit.store(stream::iter(parts).boxed()).await
}

pub(crate) fn stopped() -> Refusal {
    let why = "this client is stopping";
    Refusal::new(Code::Unavailable, "storing an extent", why)
}
