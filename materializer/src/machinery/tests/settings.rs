//! A setting is used from the answer to its change on: by the primary, by every replica, and by the next primary.
use super::*;
use dfs_wire::v1::Setting;
use std::time::Duration;

fn set(setting: Setting, value: Option<u64>) -> v1::mutate::Op {
    let changes = vec![v1::SettingChanged {
        setting: setting as u32,
        value,
    }];
    v1::mutate::Op::SetSettings(v1::SetSettings { changes })
}

async fn replicas(node: &Node) -> Vec<u64> {
    let newest = node.role.hub().published.newest().unwrap();
    crate::state::replicas(&*newest, 0).unwrap()
}

async fn has_replicas(node: &Node, wanted: &[u64]) {
    for _ in 0..PATIENCE_MS {
        if replicas(node).await == wanted {
            return;
        }
        tick(&node.env).await;
    }
    panic!("{:?}", replicas(node).await);
}

#[test]
fn replicas_come_and_go_with_the_setting() {
    SimWorld::run(800, |world| async move {
        let mut cluster = Cluster::new(&world);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let (_second, _third) = (cluster.start(2).await, cluster.start(3).await);
        has_replicas(&first, &[1, 2]).await;
        let mut client = first.client().await;
        client.open_session(7).await;
        let wanted = [(Some(3), &[1, 2, 3][..]), (Some(1), &[1]), (None, &[1, 2])];
        for (seq, (value, nodes)) in (1..).zip(wanted) {
            let change = set(Setting::ShardReplicas, value);
            client.mutate(0, seq, change).await.unwrap();
            has_replicas(&first, nodes).await;
        }
        has_replicas(&first, &[1, 2]).await;
    });
}

/// In the log it counts for every primary; where nobody has set it, each counts by its own configuration.
#[test]
fn retention_that_is_set_moves_the_floor() {
    SimWorld::run(801, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let files = |seq: u64| create_numbered(seq);
        let mut last_us = 0;
        for seq in 1..=100 {
            last_us = client.mutate(0, seq, files(seq)).await.unwrap().log_time_us;
            node.env.sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(node.role.status().await.unwrap().floor_lsn, 0);
        let change = set(Setting::RetentionSeconds, Some(30));
        client.mutate(0, 101, change).await.unwrap();
        node.env.sleep(Duration::from_secs(2)).await;
        let status = node.role.status().await.unwrap();
        let kept_us = last_us - status.floor_log_time_us;
        assert!((25_000_000..35_000_000).contains(&kept_us), "{kept_us} µs");
        let change = set(Setting::RetentionSeconds, Some(0));
        client.mutate(0, 102, change).await.unwrap();
        node.env.sleep(Duration::from_secs(60)).await;
        let later = node.role.status().await.unwrap();
        assert_eq!(later.floor_lsn, status.floor_lsn);
    });
}

fn create_numbered(seq: u64) -> v1::mutate::Op {
    let mut op = create("f", b"bytes");
    if let v1::mutate::Op::Commit(commit) = &mut op {
        commit.path = Some(at(&format!("f{seq}")));
    }
    op
}

#[test]
fn new_groups_have_as_many_copies_as_is_said() {
    SimWorld::run(802, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        cluster.set_units((1..=3).map(end_to_end::unit).collect());
        let mut client = node.client().await;
        client.open_session(7).await;
        for (seq, copies) in [(1, 2), (2, 3)] {
            let change = set(Setting::Replication, Some(copies));
            client.mutate(0, seq, change).await.unwrap();
            let place = request(Op::Place(v1::Place::default()));
            let Some(Body::Placement(placed)) = client.ask(place).await.unwrap().body else {
                panic!("a placement")
            };
            let sizes = placed
                .groups
                .iter()
                .map(|group| group.unit_ids.len() as u64);
            assert_eq!(sizes.collect::<Vec<_>>(), [copies]);
        }
    });
}

/// Every answer tells of the last change; a client's next grant has it, and so has the next primary.
#[test]
fn answers_tell_of_a_change_and_a_failover_keeps_it() {
    SimWorld::run(803, |world| async move {
        let mut cluster = Cluster::new(&world);
        let first = cluster.start(1).await;
        first.is("primary").await;
        let second = cluster.start(2).await;
        has_replicas(&first, &[1, 2]).await;
        let mut client = first.client().await;
        let session = client.open_session(7).await;
        assert_eq!(client.session.settings.unwrap().name_bytes_max, 0);
        let change = set(Setting::NameBytesMax, Some(32));
        let changed = client.mutate(0, 1, change).await.unwrap();
        assert_eq!(changed.settings_lsn, changed.lsn);
        let kept = client
            .ask(request(Op::KeepSession(v1::KeepSession { session })))
            .await;
        let kept = kept.unwrap();
        let Some(Body::Session(granted)) = kept.body else {
            panic!("a session")
        };
        assert_eq!(kept.settings_lsn, changed.lsn);
        assert_eq!(granted.settings.unwrap().name_bytes_max, 32);
        let long = client.mutate(0, 2, create(&"n".repeat(33), b"1")).await;
        assert_eq!(code(&long), Some(Code::Invalid));

        second.applied(changed.lsn).await;
        let status = second.role.status().await.unwrap();
        assert_eq!(status.settings_lsn, changed.lsn);
        assert_eq!(status.settings.unwrap().name_bytes_max, 32);
        first.env.crash();
        cluster.set_gone(1, true);
        second.is("primary").await;
        let mut client = second.client().await;
        client.open_session(8).await;
        assert_eq!(client.session.settings.unwrap().name_bytes_max, 32);
        let long = client.mutate(0, 1, create(&"n".repeat(33), b"1")).await;
        assert_eq!(code(&long), Some(Code::Invalid));
        client
            .mutate(0, 2, create(&"n".repeat(32), b"1"))
            .await
            .unwrap();
    });
}
