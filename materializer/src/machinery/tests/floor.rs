//! The floor of retention: what lies below is refused, with the oldest moment there is, and let go of (FOLD-B3, FOLD-X3).
use super::*;
use crate::state;
use crate::view::{Keyspace, Read, STAMP_KEY};
use dfs_wire::v1::view::View as Wanted;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// One file, replaced every second: (LSN, log time) of each version.
async fn overwritten(client: &mut Client, env: &Env, times: u64) -> Vec<(u64, u64)> {
    overwritten_from(client, env, 1, times).await
}

async fn overwritten_from(client: &mut Client, env: &Env, seq: u64, times: u64) -> Vec<(u64, u64)> {
    let mut versions = Vec::new();
    for seq in seq..seq + times {
        let replace = commit("f", b"bytes", v1::CommitMode::Replace);
        let done = client.mutate(0, seq, replace).await.unwrap();
        versions.push((done.lsn, done.log_time_us));
        env.sleep(Duration::from_secs(1)).await;
    }
    versions
}

fn superseded(view: &MemoryView) -> usize {
    let snapshot = view.snapshot();
    let rows = snapshot.scan(Keyspace::History, &[], STAMP_KEY);
    rows.count()
}

fn minute() -> RetentionPolicy {
    RetentionPolicy {
        time_us: Some(MINUTE.as_micros() as u64),
        bytes: 0,
    }
}

#[test]
fn below_the_floor_every_read_is_refused_and_above_it_none() {
    SimWorld::run(700, |world| async move {
        let mut cluster = Cluster::new(&world);
        cluster.retention = minute();
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let versions = overwritten(&mut client, &node.env, 200).await;
        let status = node.role.status().await.unwrap();
        let (floor, floor_us) = (status.floor_lsn, status.floor_log_time_us);
        let kept_us = status.log_time_us - floor_us;
        assert!((60_000_000..63_000_000).contains(&kept_us), "{kept_us} µs");
        for (lsn, log_time_us) in &versions {
            for wanted in [Wanted::AtLsn(*lsn), Wanted::AtTimeUs(*log_time_us)] {
                let read = client.stat("f", Some(wanted)).await;
                let listed = client.names("", Some(wanted)).await;
                if *lsn >= floor {
                    assert_eq!((read.unwrap().lsn, listed.unwrap().len()), (*lsn, 1));
                    continue;
                }
                for refused in [read.unwrap_err(), listed.unwrap_err()] {
                    let said = refused.get();
                    let oldest = (said.lsn, said.log_time_us);
                    assert_eq!(refused.code(), Code::Trimmed);
                    assert_eq!(oldest, (floor, floor_us), "{refused}");
                }
            }
        }
        let resolve = v1::ResolveRequest {
            view: Some(v1::View {
                view: Some(Wanted::AgoUs(120_000_000)),
            }),
        };
        let refused = client.ask(request(Op::Resolve(resolve))).await;
        assert_eq!(code(&refused), Some(Code::Trimmed));
    });
}

/// FOLD-B3: what was read below the floor is not used again, neither refused nor void by halves.
#[test]
fn a_copy_from_below_the_floor_is_refused() {
    SimWorld::run(701, |world| async move {
        let mut cluster = Cluster::new(&world);
        cluster.retention = minute();
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let versions = overwritten(&mut client, &node.env, 100).await;
        let copy = |lsn| {
            v1::mutate::Op::Copy(v1::Copy {
                from: Some(at("f")),
                from_view: Some(v1::View {
                    view: Some(Wanted::AtLsn(lsn)),
                }),
                to: Some(at("g")),
                mode: v1::CommitMode::Replace as i32,
            })
        };
        let refused = client.mutate(0, 200, copy(versions[0].0)).await;
        assert_eq!(code(&refused), Some(Code::Trimmed));
        client.mutate(0, 201, copy(versions[80].0)).await.unwrap();
    });
}

/// The store of every replica stays flat, and what is left reads as before.
#[test]
fn superseded_rows_go_with_the_floor_by_time_and_by_bytes() {
    let by_bytes = RetentionPolicy {
        time_us: None,
        bytes: 32 << 10,
    };
    for retention in [minute(), by_bytes] {
        SimWorld::run(702, |world| async move {
            let mut cluster = Cluster::new(&world);
            cluster.retention = retention;
            let (one, two) = (Arc::new(MemoryView::new()), Arc::new(MemoryView::new()));
            let first = cluster.start_with(1, one.clone()).await;
            first.is("primary").await;
            let second = cluster.start_with(2, two.clone()).await;
            let mut client = first.client().await;
            client.open_session(7).await;
            let versions = overwritten(&mut client, &first.env, 400).await;
            first.env.sleep(Duration::from_secs(5)).await;
            second.applied(versions[399].0).await;
            let status = first.role.status().await.unwrap();
            let floor = status.floor_lsn;
            assert_eq!(second.role.status().await.unwrap().floor_lsn, floor);
            let kept = versions.iter().filter(|(lsn, _)| *lsn >= floor).count();
            assert!((20..200).contains(&kept), "{kept} versions are kept");
            for view in [&one, &two] {
                // Of the file, and of its directory: the one at the floor, and those after it.
                let rows = superseded(view);
                assert!(rows <= 2 * kept + 2, "{rows} rows for {kept} versions");
                let control = view.snapshot();
                let rows = control.scan(Keyspace::Control, &[], STAMP_KEY).count();
                assert!(rows < 5 * kept + 50, "{rows} rows of control");
            }
            // The floor goes on, also while nothing else is written.
            let from = versions.len() - kept + 10;
            for (lsn, log_time_us) in &versions[from..] {
                for wanted in [Wanted::AtLsn(*lsn), Wanted::AtTimeUs(*log_time_us)] {
                    assert_eq!(client.stat("f", Some(wanted)).await.unwrap().lsn, *lsn);
                }
            }
        });
    }
}

/// FOLD-C2: a planner whose own clock is behind lets go of nothing that its clock says is young.
#[test]
fn the_floor_waits_for_both_clocks() {
    SimWorld::run(703, |world| async move {
        let mut cluster = Cluster::new(&world);
        cluster.retention = minute();
        world.set_clock_offset_us("node 1", -100_000_000);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        overwritten(&mut client, &node.env, 150).await;
        assert_eq!(node.role.status().await.unwrap().floor_lsn, 0);
        overwritten_from(&mut client, &node.env, 151, 50).await;
        assert!(node.role.status().await.unwrap().floor_lsn > 0);
        let view = cluster.start(2).await;
        view.applied(1).await;
        let snapshot = view.role.status().await.unwrap();
        assert!(snapshot.floor_lsn > 0, "a fact of the log: {snapshot:?}");
    });
}

#[test]
fn without_retention_nothing_is_let_go_of() {
    SimWorld::run(704, |world| async move {
        let mut cluster = Cluster::new(&world);
        let view = Arc::new(MemoryView::new());
        let node = cluster.start_with(1, view.clone()).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let versions = overwritten(&mut client, &node.env, 100).await;
        assert_eq!(state::floor(&view.snapshot()).unwrap(), 0);
        assert!(superseded(&view) >= versions.len() - 1);
    });
}
