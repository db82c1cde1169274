//! Groups that are short of copies, as status and figures tell them: by Members, and only where something lies in them.
use super::end_to_end::unit;
use super::*;
use dfs_rpc::metrics::Figure;

/// A file of one extent, which lies in a group.
fn stored(path: &str, session: u64, group: u64) -> v1::mutate::Op {
    let v1::mutate::Op::Commit(mut file) = commit(path, b"bytes", v1::CommitMode::Create) else {
        panic!("a commit")
    };
    let content = file.content.as_mut().unwrap();
    let whole = (content.crc32c, std::mem::take(&mut content.inline).len());
    content.extents = vec![v1::ExtentRef {
        extent: Some(v1::ExtentId {
            session,
            counter: 1,
        }),
        group,
        generation: 1,
        stored_length: whole.1 as u32,
        crc32c: whole.0,
        skip: 0,
        length: whole.1 as u32,
    }];
    v1::mutate::Op::Commit(file)
}

fn three(third: v1::UnitRef) -> Vec<v1::UnitRef> {
    vec![unit(1), unit(2), third]
}

fn dead() -> v1::UnitRef {
    v1::UnitRef {
        live: false,
        state: v1::UnitState::Dead as i32,
        ..unit(3)
    }
}

impl Client {
    async fn group_of(&mut self, copies: u32) -> v1::Group {
        let place = v1::Place {
            redundancy: Some(replicated(copies)),
            failed_groups: vec![],
        };
        let answer = self.ask(request(Op::Place(place))).await.unwrap();
        let Some(Body::Placement(placed)) = answer.body else {
            panic!("a placement")
        };
        placed.groups[0].clone()
    }
}

impl Node {
    /// After another count: the groups that are short, and those that hold nothing.
    async fn short(&self) -> (Vec<u64>, Vec<u64>) {
        self.env.sleep(std::time::Duration::from_secs(10)).await;
        let status = self.role.status().await.unwrap();
        let samples = self.role.samples();
        let mut figure = samples
            .iter()
            .filter(|sample| sample.name == "dfs_materializer_groups_short");
        let Figure::Level(level) = figure.next().unwrap().figure else {
            panic!("a level")
        };
        assert_eq!(level as usize, status.short_groups.len());
        (status.short_groups, status.empty_groups)
    }
}

#[test]
fn a_unit_that_is_lost_leaves_its_groups_short_until_nothing_lies_in_them() {
    SimWorld::run(730, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        let session = client.open_session(7).await;
        cluster.set_units(three(unit(3)));
        let group = client.group_of(3).await.group;
        let file = stored("f", session, group);
        client.mutate(0, 1, file).await.unwrap();
        assert_eq!(node.short().await, (vec![], vec![]));
        // Whoever is away comes back with its copies.
        cluster.set_units(three(v1::UnitRef {
            live: false,
            ..unit(3)
        }));
        let (short, empty) = node.short().await;
        assert!(short.is_empty() && !empty.contains(&group), "{empty:?}");
        cluster.set_units(three(dead()));
        let (short, empty) = node.short().await;
        assert_eq!(short, [group]);
        assert!(!empty.contains(&group));
        cluster.set_units(three(unit(3))[..2].to_vec());
        assert_eq!(node.short().await.0, [group], "an unknown unit has left");
        client.open_session(8).await; // the first one has expired
        client.mutate(0, 1, remove("f")).await.unwrap();
        let (short, empty) = node.short().await;
        assert!(short.is_empty() && empty.contains(&group), "{short:?}");
    });
}

#[test]
fn a_group_that_was_opened_with_too_few_units_is_told_while_something_lies_in_it() {
    SimWorld::run(731, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        let session = client.open_session(7).await;
        cluster.set_units(vec![unit(1), unit(2)]);
        let group = client.group_of(3).await;
        assert!(group.under_replicated);
        cluster.set_units(three(unit(3)));
        assert_eq!(node.short().await, (vec![], vec![group.group]));
        let file = stored("f", session, group.group);
        client.mutate(0, 1, file).await.unwrap();
        assert_eq!(node.short().await, (vec![group.group], vec![]));
    });
}
