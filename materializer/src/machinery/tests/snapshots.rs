//! Snapshots: snapshot and tail are the same as the log from 1; damage, crashes and trim in between (FOLD-X2, LOG.md §8).
use super::shelf::{self, Shelf};
use super::*;
use crate::view::dump;
use dfs_log::SharedLog;
use std::time::Duration;

pub(super) fn cluster(world: &SimWorld, every_records: u64) -> (Cluster, Shelf) {
    let shelf = Shelf::default();
    let mut cluster = Cluster::new(world);
    cluster.units = Some(Arc::new(shelf.clone()));
    cluster.snapshots = SnapshotPolicy {
        every_records,
        every_bytes: 0,
    };
    cluster.set_units(vec![shelf::unit()]);
    (cluster, shelf)
}

impl Client {
    pub(super) async fn snapshot(&mut self) -> Result<v1::SnapshotMade, Refusal> {
        let taken = self
            .ask(request(Op::TakeSnapshot(v1::TakeSnapshot {})))
            .await?;
        match taken.body {
            Some(Body::Snapshot(made)) => Ok(made),
            other => panic!("{other:?}"),
        }
    }

    /// Whatever a few clients do: files made, replaced, moved and removed.
    async fn busy(&mut self, world: &SimWorld, first_seq: u64, count: u64) {
        for seq in first_seq..first_seq + count {
            let name = format!("f{}", world.below(20));
            let op = match world.below(4) {
                0 => remove(&name),
                1 => rename(&name, &format!("f{}", world.below(20))),
                _ => commit(&name, b"some bytes", v1::CommitMode::Replace),
            };
            let _refused = self.mutate(0, seq, op).await;
        }
    }

    async fn digest_at(&mut self, at_lsn: u64) -> Result<v1::DigestAnswer, Refusal> {
        let digest = v1::DigestRequest { at_lsn };
        match self.ask(request(Op::Digest(digest))).await?.body {
            Some(Body::Digest(digest)) => Ok(digest),
            other => panic!("{other:?}"),
        }
    }
}

/// At random moments; the log is then trimmed to the older one, and a wiped replica begins from it.
#[test]
fn a_snapshot_and_its_tail_are_the_log_from_its_beginning() {
    for seed in 500..508 {
        SimWorld::run(seed, |world| async move {
            let (mut cluster, _shelf) = cluster(&world, 0);
            let first = cluster.start(1).await;
            first.is("primary").await;
            let kept = Arc::new(MemoryView::new());
            let second = cluster.start_with(2, kept.clone()).await;
            let mut client = first.client().await;
            client.open_session(7).await;
            let mut lsns = Vec::new();
            for round in 0..3 {
                client.busy(&world, 1 + round * 100, world.below(60)).await;
                lsns.push(client.snapshot().await.unwrap().lsn);
            }
            client.busy(&world, 1000, world.below(60)).await;
            assert!(lsns.is_sorted() && lsns[0] > 0);
            let history = cluster.log.history().await.unwrap();
            let known: Vec<u64> = history.snapshots.iter().map(|row| row.lsn).collect();
            assert_eq!(known, lsns[1..]);
            let whole = client.digest_at(first.digest().await.0).await.unwrap();
            cluster.log.trim(lsns[1]);

            let wiped = Arc::new(MemoryView::new());
            let third = cluster.start_with(3, wiped.clone()).await;
            let (lsn, digest) = first.digest().await;
            for node in [&second, &third] {
                node.applied(lsn).await;
            }
            let same = |view: &MemoryView| (view.snapshot().stamp, dump(&view.snapshot()));
            assert_eq!(same(&wiped), same(&kept));
            assert_eq!(kept.snapshot().stamp.digest, digest);
            // The past is proven from a snapshot now, and what lies before both is trimmed.
            let again = third.client().await.digest_at(whole.lsn).await.unwrap();
            assert_eq!((again.digest, again.refolded), (whole.digest, true));
            let before = client.digest_at(lsns[1] - 1).await.unwrap_err();
            assert_eq!(before.code(), Code::Trimmed);
        });
    }
}

#[test]
fn the_primary_takes_snapshots_by_itself() {
    SimWorld::run(520, |world| async move {
        let (mut cluster, shelf) = cluster(&world, 40);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        for round in 0..6 {
            client.busy(&world, 1 + round * 100, 100).await;
            node.env.sleep(Duration::from_millis(500)).await; // its turns come every 100 ms
        }
        let status = node.role.status().await.unwrap();
        assert_eq!(status.snapshot_lsns.len(), 2);
        assert!(shelf.count() >= 6, "three snapshots with their lists");
        let sessions = status.sessions;
        assert_eq!(sessions, 1, "those of snapshots are closed");
        let known = cluster.log.history().await.unwrap().snapshots;
        let known: Vec<u64> = known.iter().map(|row| row.lsn).collect();
        assert_eq!(known, status.snapshot_lsns);
    });
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_older_one_and_the_log() {
    SimWorld::run(521, |world| async move {
        let (mut cluster, shelf) = cluster(&world, 0);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let mut client = first.client().await;
        client.open_session(7).await;
        let mut rows = Vec::new();
        for round in 0..2 {
            client.busy(&world, 1 + round * 100, 30).await;
            client.snapshot().await.unwrap();
            let newest = first.role.status().await.unwrap().snapshot_lsns;
            rows.push(newest.last().copied().unwrap());
        }
        let taken = taken_of(&cluster).await;
        shelf.damage(&taken[1].extents[0].extent.unwrap());
        cluster.log.trim(rows[0]);
        let (lsn, digest) = first.digest().await;
        let second = cluster.start(2).await;
        second.applied(lsn).await;
        assert!(second.digest().await.1 == digest || second.digest().await.0 > lsn);

        // Both, the list of one of them: what is trimmed cannot be had any more.
        shelf.damage(&taken[0].extents.last().unwrap().extent.unwrap());
        let refused = cluster.try_start(3).await.err().unwrap();
        assert_eq!(refused.code(), Code::Lost, "{refused}");
        // While the log goes back to 1, it is folded.
        cluster.log.trim(1);
        let third = cluster.start(3).await;
        third.applied(lsn).await;
    });
}

/// As they stand in the log.
async fn taken_of(cluster: &Cluster) -> Vec<v1::SnapshotTaken> {
    let end = cluster.log.end(true).await.unwrap().next_lsn;
    let mut follower = cluster.log.follow(1, Default::default()).await.unwrap();
    let (mut found, mut seen) = (Vec::new(), 0);
    while seen + 1 < end {
        for event in follower.next().await.unwrap().events {
            let dfs_log::Event::Frame(at) = event else {
                continue;
            };
            seen = at.last_lsn();
            for record in at.frame.records().unwrap() {
                let record: v1::Record = prost::Message::decode(record).unwrap();
                found.extend(record.mutations.into_iter().filter_map(|m| match m.kind {
                    Some(v1::mutation::Kind::SnapshotTaken(taken)) => Some(taken),
                    _ => None,
                }));
            }
        }
    }
    found
}

/// The primary dies with a snapshot half stored: nothing of it counts, the next owner takes its own.
#[test]
fn a_crash_in_the_middle_leaves_nothing_that_counts() {
    SimWorld::run(522, |world| async move {
        let (mut cluster, shelf) = cluster(&world, 0);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let second = cluster.start(2).await;
        first.env.sleep(Duration::from_secs(1)).await; // the second becomes a replica
        let mut client = first.client().await;
        client.open_session(7).await;
        client.busy(&world, 1, 30).await;
        *shelf.hangs_after.lock() = Some(1); // the snapshot, and not its list
        client
            .send(vec![request(Op::TakeSnapshot(v1::TakeSnapshot {}))])
            .await;
        first.env.sleep(Duration::from_secs(1)).await;
        assert_eq!(shelf.count(), 1);
        world.crash("node 1");
        cluster.set_gone(1, true);
        *shelf.hangs_after.lock() = None;
        second.is("primary").await;
        assert!(second.role.status().await.unwrap().snapshot_lsns.is_empty());
        let made = second.client().await.snapshot().await.unwrap();
        let history = cluster.log.history().await.unwrap();
        assert_eq!(history.snapshots.last().map(|row| row.lsn), Some(made.lsn));
    });
}

/// A replica that was away while the log was trimmed begins anew, from a snapshot.
#[test]
fn a_replica_behind_trim_begins_anew() {
    SimWorld::run(523, |world| async move {
        let (mut cluster, _shelf) = cluster(&world, 0);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let view = Arc::new(MemoryView::new());
        let second = cluster.start_with(2, view.clone()).await;
        second.applied(1).await;
        world.crash("node 2");
        let mut client = first.client().await;
        client.open_session(7).await;
        for round in 0..2 {
            client.busy(&world, 1 + round * 100, 30).await;
            client.snapshot().await.unwrap();
        }
        let oldest = cluster.log.history().await.unwrap().snapshots[0].lsn;
        cluster.log.trim(oldest);
        assert!(view.snapshot().stamp.lsn < oldest);
        let behind = cluster.start_with(2, view.clone()).await;
        assert_eq!(behind.role.failed().await.code(), Code::Trimmed);
        behind.role.stop().await;
        let again = cluster.start_with(2, view).await;
        again.applied(first.digest().await.0).await;
        assert_eq!(again.digest().await, first.digest().await);
    });
}

#[test]
fn without_units_a_snapshot_is_refused() {
    SimWorld::run(524, |world| async move {
        let node = Cluster::new(&world).start(1).await;
        node.is("primary").await;
        let refused = node.client().await.snapshot().await.unwrap_err();
        assert_eq!(refused.code(), Code::State);
    });
}
