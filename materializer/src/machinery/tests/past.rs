//! Reads of the past: by LSN, by time, by age, on an idle cluster too (FOLD-R4).
use super::*;
use dfs_wire::v1::view::View as Wanted;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_past_is_read_by_lsn_time_and_age() {
    SimWorld::run(21, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let first = client.mutate(0, 1, create("f", b"one")).await.unwrap();
        node.env.sleep(Duration::from_secs(10)).await;
        let between_us = node.env.wall_us();
        node.env.sleep(Duration::from_secs(10)).await;
        let second = commit("f", b"three", v1::CommitMode::Replace);
        let second = client.mutate(0, 2, second).await.unwrap();
        let size = async |client: &mut Client, view| {
            client.stat("f", Some(view)).await.map(|entry| entry.size)
        };
        assert_eq!(
            size(&mut client, Wanted::AtLsn(first.lsn)).await.unwrap(),
            3
        );
        assert_eq!(
            size(&mut client, Wanted::AtLsn(second.lsn)).await.unwrap(),
            5
        );
        assert_eq!(
            size(&mut client, Wanted::AtTimeUs(between_us))
                .await
                .unwrap(),
            3
        );
        assert_eq!(
            size(&mut client, Wanted::AgoUs(5_000_000)).await.unwrap(),
            3
        );
        assert_eq!(
            size(&mut client, Wanted::AtLeastLsn(second.lsn))
                .await
                .unwrap(),
            5
        );
        assert_eq!(
            size(&mut client, Wanted::BoundedUs(1_000_000))
                .await
                .unwrap(),
            5
        );
        let before = size(&mut client, Wanted::AtLsn(first.lsn - 1))
            .await
            .unwrap_err();
        assert_eq!(before.code(), Code::NotFound);
        let future = size(&mut client, Wanted::AtLsn(second.lsn + 1000))
            .await
            .unwrap_err();
        assert_eq!(future.code(), Code::Invalid);
        let future = node.env.wall_us() + 60_000_000;
        let future = size(&mut client, Wanted::AtTimeUs(future))
            .await
            .unwrap_err();
        assert_eq!(future.code(), Code::Invalid);
    });
}

#[test]
fn an_idle_cluster_is_ticked_to_answer_about_a_minute_ago() {
    SimWorld::run(22, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let made = client.mutate(0, 1, create("f", b"one")).await.unwrap();
        let keep = v1::KeepSession {
            session: client.session.session,
        };
        for _ in 0..6 {
            node.env.sleep(MINUTE / 3).await;
            client.ask(request(Op::KeepSession(keep))).await.unwrap();
        }
        assert_eq!(
            node.role.progress().applied_lsn,
            made.lsn,
            "keep-alives are no records"
        );
        let minute_us = MINUTE.as_micros() as u64;
        let entry = client
            .stat("f", Some(Wanted::AgoUs(minute_us)))
            .await
            .unwrap();
        assert_eq!(entry.lsn, made.lsn);
        assert_eq!(node.role.progress().applied_lsn, made.lsn + 1, "one Tick");
        let entry = client
            .stat("f", Some(Wanted::AgoUs(minute_us)))
            .await
            .unwrap();
        assert_eq!(
            (entry.lsn, node.role.progress().applied_lsn),
            (made.lsn, made.lsn + 1)
        );
    });
}

#[test]
fn digests_are_proven_by_folding_the_log_again() {
    SimWorld::run(23, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        for n in 1..=20 {
            client
                .mutate(0, n, create(&format!("f{n}"), b"x"))
                .await
                .unwrap();
        }
        let (lsn, digest) = node.digest().await;
        client.mutate(0, 21, create("g", b"x")).await.unwrap();
        let ask = |at_lsn| request(Op::Digest(v1::DigestRequest { at_lsn }));
        let answer = client.ask(ask(lsn)).await.unwrap();
        let proven = v1::DigestAnswer {
            lsn,
            digest,
            refolded: true,
        };
        assert_eq!(answer.body, Some(Body::Digest(proven)));
        let answer = client.ask(ask(0)).await.unwrap();
        let Some(Body::Digest(live)) = answer.body else {
            panic!("a digest")
        };
        assert!(live.lsn > lsn && live.digest != digest && !live.refolded);
    });
}
