//! Two replicas, restarts, and the change of the primary (FOLD-T, G4).
use super::*;
use dfs_log::SharedLog;
use std::time::Duration;

#[test]
fn both_replicas_fold_the_same_and_the_second_names_the_primary() {
    SimWorld::run(41, |world| async move {
        let mut cluster = Cluster::new(&world);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let second = cluster.start(2).await;
        let mut client = first.client().await;
        client.open_session(7).await;
        let made = client.mutate(0, 1, create("f", b"x")).await.unwrap();
        let mut other = second.client().await;
        other.session = client.session;
        let refused = other.mutate(0, 2, create("g", b"x")).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.get().primary.as_str()),
            (Code::Moved, "node-1:9010")
        );
        assert_eq!(other.stat("f", None).await.unwrap().lsn, made.lsn);
        second.applied(first.digest().await.0).await;
        assert_eq!(first.digest().await, second.digest().await);
    });
}

#[test]
fn the_other_replica_takes_over_and_retries_find_their_results() {
    for seed in 100..110 {
        SimWorld::run(seed, |world| async move {
            let mut cluster = Cluster::new(&world);
            let first = cluster.start(1).await;
            first.is("primary").await;
            let second = cluster.start(2).await;
            first.env.sleep(Duration::from_secs(1)).await; // the second becomes a replica
            let mut client = first.client().await;
            client.open_session(7).await;
            let requests: Vec<_> = (0..64)
                .map(|n| client.mutation(n, 1, create(&format!("f{n:02}"), b"x")))
                .collect();
            client.send(requests.clone()).await;
            for _ in 0..world.below(400) {
                tokio::task::yield_now().await; // some are folded, some cut, some neither
            }
            world.crash("node 1");
            cluster.set_gone(1, true);
            second.is("primary").await;
            let mut client = second.client().await;
            let term = client_term(&mut client).await;
            let retries = requests.iter().map(|request| {
                let slot = request.slot.map(|slot| v1::SlotUse {
                    attempt: 2,
                    term,
                    ..slot
                });
                v1::Request {
                    slot,
                    ..request.clone()
                }
            });
            for id in client.send(retries.collect()).await {
                let answer = client.answer(id).await;
                assert!(matches!(answer.body, Some(Body::Done(_))), "{answer:?}");
            }
            assert_eq!(client.names("", None).await.unwrap().len(), 64);
        });
    }
}

/// The session goes on under the new primary.
async fn client_term(client: &mut Client) -> u64 {
    client.open_session(7).await;
    client.session.term
}

#[test]
fn frames_behind_a_rivals_term_are_void_and_their_retries_apply_once() {
    SimWorld::run(43, |world| async move {
        let log = MemoryLog::stepped(world.node("log"));
        let mut cluster = Cluster::on(&world, log.clone());
        // The lane with the smallest id comes first in every cut.
        let lane = log.appender(v1::Owner::default()).await.unwrap();
        let env = world.node("cutter");
        let cutting = cut_always(&env, &log);
        let first = cluster.start(1).await;
        first.is("primary").await;
        cluster.set_member(materializer(2, 99));
        first.env.sleep(Duration::from_secs(1)).await; // node 2 becomes a replica
        let mut client = first.client().await;
        client.open_session(7).await;
        client.mutate(0, 1, mkdir("d")).await.unwrap();
        cutting.abort();

        let create = |slot, seq| client.mutation(slot, seq, create(&format!("d/{slot}"), b"x"));
        let requests: Vec<_> = (0..8).map(|slot| create(slot, 2)).collect();
        let refused = client.mutation(8, 1, mkdir("d"));
        let mut ids = client.send(requests.clone()).await;
        ids.extend(client.send(vec![refused]).await);
        first.env.sleep(Duration::from_millis(50)).await;
        let rival = v1::Owner {
            node_id: 2,
            incarnation: 99,
        };
        let term = crate::plan::control::term_started(0, client.session.term, rival);
        append(&lane, term);
        log.cut();
        for id in &ids[..8] {
            let Some(Body::Refusal(refusal)) = client.answer(*id).await.body else {
                panic!("void")
            };
            assert_eq!((refusal.code(), refusal.not_done), (Code::Void, true));
        }
        // The refusal stood on the own term, which ended before it could be answered.
        let Some(Body::Refusal(refusal)) = client.answer(ids[8]).await.body else {
            panic!("moved")
        };
        assert_eq!(refusal.code(), Code::Moved);
        assert!(client.names("d", None).await.unwrap().is_empty());

        let second = cluster.start(2).await;
        cut_always(&env, &log);
        second.is("primary").await;
        let mut client = second.client().await;
        client.open_session(7).await;
        for _ in 0..2 {
            let retries = requests.iter().map(|request| {
                let slot = request.slot.unwrap();
                let slot = v1::SlotUse {
                    attempt: 2,
                    term: client.session.term,
                    ..slot
                };
                v1::Request {
                    slot: Some(slot),
                    ..request.clone()
                }
            });
            let retries = retries.collect();
            for id in client.send(retries).await {
                let answer = client.answer(id).await;
                assert!(matches!(answer.body, Some(Body::Done(_))), "{answer:?}");
            }
        }
        assert_eq!(client.names("d", None).await.unwrap().len(), 8);
    });
}

fn cut_always(env: &Env, log: &Arc<MemoryLog>) -> dfs_env::Task<()> {
    let (log, pace) = (log.clone(), env.clone());
    env.spawn("cut", async move {
        loop {
            log.cut();
            tick(&pace).await;
        }
    })
}

pub(super) fn append(lane: &dfs_log::Appender, planned: crate::plan::Planned) {
    let draft = dfs_log::Draft {
        tags: planned.tags,
        guards: planned.guards_encoded,
        record: planned.encoded,
        ..Default::default()
    };
    lane.try_append(draft).unwrap().unwrap();
}

#[test]
fn a_store_that_was_kept_goes_on_and_one_that_was_lost_is_folded_again() {
    SimWorld::run(44, |world| async move {
        let mut cluster = Cluster::new(&world);
        let view: Arc<dyn View> = Arc::new(MemoryView::new());
        let node = cluster.start_with(1, view.clone()).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        for n in 1..=50 {
            client
                .mutate(0, n, create(&format!("f{n}"), b"x"))
                .await
                .unwrap();
        }
        let before = node.digest().await;
        node.role.stop().await;
        assert!(node.role.status().await.unwrap().halted.contains("stops"));

        let kept = cluster.start_with(1, view).await;
        assert_eq!(kept.role.status().await.unwrap().applied_lsn, before.0);
        kept.is("primary").await;
        let mut client = kept.client().await;
        client.open_session(7).await;
        client.mutate(0, 51, create("g", b"x")).await.unwrap();
        let second = kept.digest().await;
        kept.role.stop().await;

        let lost = cluster.start(1).await;
        lost.is("primary").await;
        let mut client = lost.client().await;
        let ask = |at_lsn| request(Op::Digest(v1::DigestRequest { at_lsn }));
        for (lsn, digest) in [before, second] {
            let answer = client.ask(ask(lsn)).await.unwrap();
            let proven = v1::DigestAnswer {
                lsn,
                digest,
                refolded: true,
            };
            assert_eq!(answer.body, Some(Body::Digest(proven)));
        }
        assert_eq!(client.names("", None).await.unwrap().len(), 51);
    });
}

#[test]
fn a_log_that_went_back_stops_the_role() {
    SimWorld::run(45, |world| async move {
        let mut cluster = Cluster::new(&world);
        let view: Arc<dyn View> = Arc::new(MemoryView::new());
        let node = cluster.start_with(1, view.clone()).await;
        node.is("primary").await;
        node.role.stop().await;
        let mut restored = Cluster::on(&world, MemoryLog::new(world.node("another log")));
        let node = restored.start_with(1, view).await;
        assert_eq!(node.role.failed().await.code(), Code::LogWentBack);
    });
}

#[test]
fn a_primary_whose_records_are_stuck_leaves_its_office_to_the_other() {
    SimWorld::run(46, |world| async move {
        let log = MemoryLog::stepped(world.node("log"));
        let mut cluster = Cluster::on(&world, log.clone());
        let env = world.node("cutter");
        let cutting = cut_always(&env, &log);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let second = cluster.start(2).await;
        let mut client = first.client().await;
        client.open_session(7).await;
        first.env.sleep(Duration::from_secs(1)).await;
        cutting.abort();
        let ids = client
            .send(vec![client.mutation(0, 1, create("f", b"x"))])
            .await;
        first.env.sleep(Duration::from_secs(4)).await;
        assert_eq!(first.role.progress().stepped_down, [0]);
        let stepped_down = v1::Member {
            stepped_down: vec![0],
            ..cluster.member(1)
        };
        cluster.set_member(stepped_down);
        second.env.sleep(Duration::from_secs(1)).await;
        log.cut();
        second.is("primary").await;
        let answer = client.answer(ids[0]).await;
        let Some(Body::Refusal(refusal)) = answer.body else {
            panic!("given up")
        };
        assert_eq!(
            refusal.code(),
            Code::TimedOut,
            "it was not folded when it was given up"
        );
        first.is("replica").await;
        assert_eq!(first.role.progress().stepped_down, [0; 0]);
        let mut client = second.client().await;
        client.open_session(7).await;
        let slot = v1::SlotUse {
            attempt: 2,
            ..client.mutation(0, 1, mkdir("")).slot.unwrap()
        };
        let retry = v1::Request {
            slot: Some(slot),
            ..client.mutation(0, 1, create("f", b"x"))
        };
        client.ask(retry).await.unwrap();
        assert_eq!(client.names("", None).await.unwrap(), ["f"]);
    });
}

/// FOLD-T0: its place in the set is another's.
#[test]
fn a_replica_that_left_for_good_makes_room_for_another() {
    SimWorld::run(49, |world| async move {
        let mut cluster = Cluster::new(&world);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let mut nodes = Vec::new();
        for node_id in [2, 3] {
            nodes.push(cluster.start(node_id).await);
            first.env.sleep(Duration::from_secs(1)).await;
        }
        let in_set = |nodes: &[Node]| {
            let progress = nodes.iter().map(|node| node.role.progress());
            progress
                .map(|p| (p.replica_of == [0], p.ready_for == [0]))
                .collect::<Vec<_>>()
        };
        assert_eq!(in_set(&nodes), [(true, true), (false, false)]);
        world.crash("node 2");
        let member = cluster.member(2);
        let (gone, removed) = (true, true);
        cluster.set_member(v1::Member {
            gone,
            removed,
            ..member
        });
        first.env.sleep(Duration::from_secs(1)).await;
        assert_eq!(in_set(&nodes[1..]), [(true, true)]);
        assert_eq!(first.role.progress().replica_of, [0]);
    });
}
