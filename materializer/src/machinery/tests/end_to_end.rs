//! One node: requests in, answers out.
use super::*;

#[test]
fn files_are_made_read_renamed_and_removed() {
    SimWorld::run(1, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        client.mutate(0, 1, mkdir("a")).await.unwrap();
        let made = client.mutate(0, 2, create("a/f", b"hello")).await.unwrap();
        let entry = client.stat("a/f", None).await.unwrap();
        assert_eq!((entry.lsn, entry.size), (made.lsn, 5));
        assert_eq!(&entry.content.unwrap().inline[..], b"hello");
        client.mutate(0, 3, rename("a/f", "a/g")).await.unwrap();
        assert_eq!(client.names("a", None).await.unwrap(), ["g"]);
        assert_eq!(
            client.stat("a/f", None).await.unwrap_err().code(),
            Code::NotFound
        );
        client.mutate(0, 4, remove("a/g")).await.unwrap();
        client.mutate(0, 5, remove("a")).await.unwrap();
        assert!(client.names("", None).await.unwrap().is_empty());
    });
}

#[test]
fn refusals_are_reads_and_come_back_on_an_idle_log() {
    SimWorld::run(2, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        client.mutate(0, 1, create("f", b"x")).await.unwrap();
        let again = client.mutate(0, 2, create("f", b"y")).await;
        let refusal = again.unwrap_err();
        assert_eq!(refusal.code(), Code::Exists);
        assert_eq!(refusal.get().lsn, node.role.progress().applied_lsn);
        let missing = client.mutate(0, 3, create("no/f", b"y")).await;
        assert_eq!(code(&missing), Some(Code::NotFound));
        let unslotted = request(Op::Mutate(v1::Mutate {
            op: Some(mkdir("d")),
            if_lsn: None,
        }));
        assert_eq!(code(&client.ask(unslotted).await), Some(Code::Invalid));
    });
}

#[test]
fn ten_thousand_creates_are_pipelined_in_few_frames() {
    SimWorld::run(3, |world| async move {
        const FILES: u64 = 10_000;
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let mut next = 0;
        while next < FILES {
            let batch = next..(next + 64).min(FILES);
            let requests = batch.clone().map(|n| {
                client.mutation(
                    (n % 64) as u32,
                    n / 64 + 1,
                    create(&format!("f{n:05}"), b"data"),
                )
            });
            let requests = requests.collect();
            for id in client.send(requests).await {
                let answer = client.answer(id).await;
                assert!(matches!(answer.body, Some(Body::Done(_))), "{answer:?}");
            }
            next = batch.end;
        }
        let first = client.names("", None).await.unwrap();
        assert_eq!((first.len(), first[4095].as_str()), (4096, "f04095"));
        let (applied, _) = node.digest().await;
        assert!(applied >= FILES);
    });
}

#[test]
fn a_stream_ends_after_its_last_answer() {
    SimWorld::run(4, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let stat = v1::StatRequest {
            path: Some(at("")),
            ..Default::default()
        };
        let requests = (1..=3).map(|id| v1::Request {
            id,
            ..request(Op::Stat(stat.clone()))
        });
        let batch = v1::RequestBatch {
            requests: requests.collect(),
        };
        let incoming = futures::stream::iter([batch]).boxed();
        let answers: Vec<_> = node.role.requests(incoming).await.unwrap().collect().await;
        let ids = answers
            .into_iter()
            .flat_map(|batch| batch.unwrap().answers)
            .map(|a| a.id);
        assert_eq!(ids.collect::<Vec<_>>(), [1, 2, 3]);
    });
}

#[test]
fn streams_end_with_the_role_and_a_slow_asker_gets_large_answers_as_it_takes_them() {
    SimWorld::run(6, |world| async move {
        const BYTES: &[u8] = &[7; 16_000];
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        for n in 1..=100 {
            client
                .mutate(0, n, create(&format!("f{n}"), BYTES))
                .await
                .unwrap();
        }
        let list = v1::ListRequest {
            path: Some(at("")),
            with_content: true,
            ..Default::default()
        };
        let lists = vec![request(Op::List(list)); 20];
        let ids = client.send(lists).await;
        node.env.sleep(std::time::Duration::from_secs(5)).await; // nothing is taken meanwhile
        for id in ids {
            let Some(Body::Listing(listing)) = client.answer(id).await.body else {
                panic!("late")
            };
            assert_eq!(listing.entries.len(), 100);
        }
        node.role.stop().await;
        assert!(client.answers.next().await.is_none());
    });
}

#[test]
fn groups_are_placed_from_members() {
    SimWorld::run(5, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        let place = |copies, failed_groups| {
            request(Op::Place(v1::Place {
                redundancy: Some(replicated(copies)),
                failed_groups,
            }))
        };
        let none = client.ask(place(1, vec![])).await;
        assert_eq!(code(&none), Some(Code::Unavailable));
        cluster.set_units((1..=3).map(unit).collect());
        let answer = client.ask(place(3, vec![])).await.unwrap();
        let Some(Body::Placement(placed)) = answer.body else {
            panic!("a placement")
        };
        let mut units = placed.groups[0].unit_ids.clone();
        units.sort_unstable();
        assert_eq!((units, placed.units.len()), (vec![1, 2, 3], 3));
        let failed = placed
            .groups
            .iter()
            .map(|group| group.group)
            .collect::<Vec<_>>();
        let answer = client.ask(place(3, failed.clone())).await.unwrap();
        let Some(Body::Placement(other)) = answer.body else {
            panic!("a placement")
        };
        assert!(
            other
                .groups
                .iter()
                .all(|group| !failed.contains(&group.group))
        );

        cluster.set_units(
            (1..=3)
                .map(|id| v1::UnitRef {
                    live: id != 2,
                    ..unit(id)
                })
                .collect(),
        );
        let answer = client.ask(place(3, vec![])).await.unwrap();
        let Some(Body::Placement(fewer)) = answer.body else {
            panic!("a placement")
        };
        assert!(fewer.groups.iter().all(|group| group.under_replicated));
        node.env.sleep(std::time::Duration::from_secs(5)).await;
        let groups = node.role.status().await.unwrap().groups;
        assert!(
            groups
                .iter()
                .filter(|group| group.unit_ids.contains(&2))
                .all(|group| group.closed)
        );
    });
}

pub(super) fn unit(unit_id: u64) -> v1::UnitRef {
    v1::UnitRef {
        unit_id,
        node_id: unit_id,
        live: true,
        state: v1::UnitState::Active as i32,
        address: address(unit_id),
        total_bytes: 1 << 40,
        available_bytes: 1 << 39,
        ..Default::default()
    }
}
