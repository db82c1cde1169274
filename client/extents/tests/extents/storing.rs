//! Storing: what goes in comes out, on every member, whatever one of them does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fake::{Cluster, Fault};
use bytes::Bytes;
use dfs_extents::{Extents, ExtentsConfig, Stored, crc32c};
use dfs_wire::{Code, Refusal, limits, v1};
use futures::TryStreamExt;

const MIB: usize = 1 << 20;

async fn store(extents: &Extents, bytes: &Bytes, piece: usize) -> Result<Stored, Refusal> {
    let mut writer = extents.writer(Some(bytes.len() as u64), None);
    for at in (0..bytes.len()).step_by(piece) {
        writer
            .push(bytes.slice(at..bytes.len().min(at + piece)))
            .await?;
    }
    writer.finish().await
}

async fn load(extents: &Extents, stored: &Stored) -> Result<Bytes, Refusal> {
    let parts: Vec<Bytes> = extents
        .read(&stored.extents, 0..stored.size)
        .try_collect()
        .await?;
    Ok(parts.concat().into())
}

#[tokio::test]
async fn every_length_comes_back_with_its_checksum() {
    let cluster = Cluster::new(&[&[1, 2, 3]]);
    let extents = cluster.extents(ExtentsConfig::default());
    let extent = limits::EXTENT_BYTES_MAX;
    for (length, piece) in [
        (0, 1),
        (1, 1),
        (70_000, 999),
        (extent - 1, MIB),
        (extent, extent),
        (extent + 1, 3 * MIB),
        (3 * extent + 5, 100_000),
    ] {
        let bytes = crate::fake::bytes(length);
        let stored = store(&extents, &bytes, piece).await.unwrap();
        assert_eq!(stored.size, length as u64);
        assert_eq!(stored.crc32c, crc32c(&bytes), "length {length}");
        assert_eq!(stored.extents.len(), length.div_ceil(extent));
        assert!(
            load(&extents, &stored).await.unwrap() == bytes,
            "length {length}"
        );
    }
    let counts: Vec<usize> = cluster
        .units
        .values()
        .map(|u| u.extents.lock().len())
        .collect();
    assert!(
        counts.iter().all(|count| *count == counts[0]),
        "all members hold all: {counts:?}"
    );
}

async fn stored_elsewhere(fault: Fault) {
    let cluster = Cluster::new(&[&[1, 2, 3], &[4, 5, 6]]);
    cluster.set(2, fault);
    let extents = cluster.extents(ExtentsConfig::default());
    let bytes = crate::fake::bytes(100_000);
    let stored = store(&extents, &bytes, MIB).await.unwrap();
    assert_eq!(stored.extents[0].group, 2, "{fault:?}");
    assert_eq!(*cluster.reported.lock(), [1], "{fault:?}");
    for unit in [4, 5, 6] {
        assert_eq!(cluster.units[&unit].extents.lock().len(), 1, "{fault:?}");
    }
    assert!(load(&extents, &stored).await.unwrap() == bytes);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fails_drags_or_stores_other_bytes_costs_no_copy() {
    stored_elsewhere(Fault::RefusesStores).await;
    stored_elsewhere(Fault::Hangs).await;
    stored_elsewhere(Fault::StoresOther).await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_well_again_is_used_when_there_is_no_other() {
    let cluster = Cluster::new(&[&[1]]);
    cluster.set(1, Fault::RefusesStores);
    let extents = cluster.extents(ExtentsConfig::default());
    let bytes = crate::fake::bytes(50_000);
    let storing = store(&extents, &bytes, MIB);
    let healing = async {
        while cluster.reported.lock().is_empty() {
            // Paused time: this waits for everybody else to wait.
            dfs_env::Env::real().sleep(Duration::from_millis(1)).await;
        }
        cluster.set(1, Fault::None);
    };
    let (stored, ()) = futures::join!(storing, healing);
    assert_eq!(stored.unwrap().extents[0].group, 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_to_store_on_is_refused_in_time() {
    let cluster = Cluster::new(&[&[1]]);
    cluster.set(1, Fault::RefusesStores);
    let config = ExtentsConfig {
        timeout: Duration::from_secs(5),
        ..ExtentsConfig::default()
    };
    let extents = cluster.extents(config);
    let refusal = store(&extents, &crate::fake::bytes(50_000), MIB)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
}

/// W2, with writers that hold partial extents at the same time.
#[tokio::test(start_paused = true)]
async fn bytes_in_flight_are_bounded_over_all_writers() {
    let cluster = Cluster::new(&[&[1]]);
    cluster.set(1, Fault::Holds);
    let config = ExtentsConfig {
        write_bytes: 2 * MIB as u64,
        ..ExtentsConfig::default()
    };
    let extents = cluster.extents(config);
    let unit = cluster.units[&1].clone();
    let bytes = crate::fake::bytes(500_000);
    let writers = (0..16).map(|_| store(&extents, &bytes, 10_000));
    let release = async {
        let mut most = 0;
        loop {
            // Paused time moves on only when every writer waits.
            dfs_env::Env::real().sleep(Duration::from_millis(1)).await;
            let held = unit.held_bytes.swap(0, Ordering::SeqCst);
            most = most.max(held);
            if held == 0 {
                return most;
            }
            unit.released.notify_waiters();
        }
    };
    let (stored, most) = futures::join!(futures::future::join_all(writers), release);
    assert!(stored.into_iter().all(|stored| stored.is_ok()));
    assert!(
        most > 500_000 && most <= 2 * MIB as u64,
        "{most} bytes were in flight"
    );
}

#[tokio::test]
async fn a_reference_to_a_part_of_an_extent_reads_that_part() {
    let cluster = Cluster::new(&[&[1, 2]]);
    let extents = cluster.extents(ExtentsConfig::default());
    let bytes = crate::fake::bytes(100_000);
    let stored = store(&extents, &bytes, MIB).await.unwrap();
    let part = |skip, length| v1::ExtentRef {
        skip,
        length,
        ..stored.extents[0]
    };
    let refs = [part(90_000, 10_000), part(5, 7), part(0, 100_000)];
    let read: Vec<Bytes> = extents
        .read(&refs, 9_000..10_020)
        .try_collect()
        .await
        .unwrap();
    let expected = [&bytes[99_000..100_000], &bytes[5..12], &bytes[..13]].concat();
    assert_eq!(read.concat(), expected);
}
