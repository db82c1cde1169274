//! Replicas whose states differ: who is the odd one, and what becomes of it (FOLD-X4b).
use super::replicas::append;
use super::*;
use crate::mutants::{Mutant, under};
use crate::view::Keyspace;
use std::time::Duration;

const EVERY: u64 = 64;

/// As many replicas as there are views; the first is the primary.
struct Replicas {
    cluster: Cluster,
    views: Vec<Arc<MemoryView>>,
    nodes: Vec<Node>,
    seq: u64,
}

impl Replicas {
    async fn start(world: &SimWorld, count: u64) -> (Replicas, Client) {
        let mut cluster = Cluster::new(world);
        cluster.settings.replicas = count as u32;
        cluster.settings.digest_every = EVERY;
        Replicas::of(cluster, count).await
    }

    async fn of(mut cluster: Cluster, count: u64) -> (Replicas, Client) {
        let (mut views, mut nodes) = (Vec::new(), Vec::new());
        for node_id in 1..=count {
            let view = Arc::new(MemoryView::new());
            let node = cluster.start_with(node_id, view.clone()).await;
            node.is(if node_id == 1 { "primary" } else { "replica" })
                .await;
            views.push(view);
            nodes.push(node);
        }
        nodes[0].env.sleep(Duration::from_secs(1)).await; // all become replicas
        let mut client = nodes[0].client().await;
        client.open_session(7).await;
        let seq = 0;
        let replicas = Replicas {
            cluster,
            views,
            nodes,
            seq,
        };
        (replicas, client)
    }

    /// More than from one digest to the next.
    async fn write(&mut self, client: &mut Client) {
        for _ in 0..EVERY + 10 {
            self.write_one(client).await.unwrap();
        }
    }

    /// In another slot than the one before.
    async fn write_one(&mut self, client: &mut Client) -> Result<v1::Answer, Refusal> {
        self.seq += 1;
        let op = commit("f", b"bytes", v1::CommitMode::Replace);
        client.mutate((self.seq % 4) as u32, self.seq, op).await
    }

    fn node(&self, id: usize) -> &Node {
        &self.nodes[id - 1]
    }

    /// The result in the first slot, which is written soon, and not next: its fold then reads what was damaged.
    fn rot(&self, id: usize) {
        assert_ne!((self.seq + 1) % 4, 0);
        assert!(self.views[id - 1].rot(Keyspace::Slots, 0).is_some());
    }

    /// As the process does it when the role ends.
    async fn open_again(&mut self, id: usize) {
        let node = self.node(id);
        assert_eq!(node.role.failed().await.code(), Code::Corrupt);
        let suspect = node.role.suspect();
        assert!(suspect.is_some());
        node.role.stop().await;
        let stepped_down = vec![0];
        let member = self.cluster.member(id as u64);
        self.cluster.set_member(v1::Member {
            stepped_down,
            ..member
        });
        let view = self.views[id - 1].clone();
        self.nodes[id - 1] = self.cluster.open(id as u64, view, suspect).await.unwrap();
    }

    async fn trusts_itself(&self, id: usize) {
        for _ in 0..PATIENCE_MS {
            let status = self.node(id).role.status().await.unwrap();
            if status.doubt.is_empty() {
                return;
            }
            tick(&self.node(id).env).await;
        }
        panic!("node {id} doubts its state");
    }

    /// Another client writes through this primary, and nobody differs.
    async fn go_on_with(&mut self, primary: usize) {
        let mut client = self.node(primary).client().await;
        client.open_session(8).await;
        self.seq = 0;
        self.write(&mut client).await;
        self.node(1).env.sleep(Duration::from_secs(1)).await;
        self.all_agree().await;
    }

    /// All that is folded, at the same LSN.
    async fn all_agree(&self) {
        let mut digests = Vec::new();
        let end = dfs_log::SharedLog::end(&*self.cluster.log, true)
            .await
            .unwrap();
        for node in &self.nodes {
            node.applied(end.next_lsn - 1).await;
            let status = node.role.status().await.unwrap();
            assert_eq!(status.doubt, "");
            digests.push((status.applied_lsn, status.digest));
        }
        assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
    }
}

async fn is_found(world: SimWorld) -> bool {
    let (mut replicas, mut client) = Replicas::start(&world, 3).await;
    replicas.write(&mut client).await;
    replicas.all_agree().await;
    replicas.rot(3);
    // Nobody who waits for an answer of the others notices anything.
    let mut other = replicas.node(2).client().await;
    replicas.write(&mut client).await;
    assert_eq!(other.stat("f", None).await.unwrap().size, 5);
    for id in [1, 2] {
        let status = replicas.node(id).role.status().await.unwrap();
        assert_eq!((status.halted.as_str(), status.doubt.as_str()), ("", ""));
    }
    replicas.node(1).env.sleep(Duration::from_secs(3)).await;
    let odd = &replicas.node(3).role;
    let found = odd
        .suspect()
        .is_some_and(|odd| odd.by_majority && odd.lsn.is_multiple_of(EVERY));
    if !found {
        return false;
    }
    replicas.open_again(3).await;
    replicas.node(3).is("replica").await;
    let mut third = replicas.node(3).client().await;
    assert_eq!(third.stat("f", None).await.unwrap().size, 5);
    replicas.write(&mut client).await;
    replicas.node(1).env.sleep(Duration::from_secs(1)).await;
    replicas.all_agree().await;
    let status = replicas.node(3).role.status().await.unwrap();
    let told = status.digests_told.iter();
    assert_eq!(told.filter(|told| told.lsn == status.agreed_lsn).count(), 3);
    true
}

#[test]
fn of_three_the_odd_one_begins_anew_and_the_others_go_on() {
    for seed in 700..704 {
        assert!(SimWorld::run(seed, is_found), "seed {seed}");
    }
    let missed = under(Some(Mutant::OddGoesOn), || SimWorld::run(700, is_found));
    assert!(
        !missed,
        "a replica that goes on with a wrong state is not caught"
    );
}

#[test]
fn an_odd_primary_leaves_the_shard_to_another() {
    SimWorld::run(710, |world| async move {
        let (mut replicas, mut client) = Replicas::start(&world, 3).await;
        replicas.write(&mut client).await;
        replicas.rot(1);
        for _ in 0..EVERY + 10 {
            if replicas.write_one(&mut client).await.is_err() {
                break; // its stream has ended
            }
        }
        replicas.open_again(1).await;
        replicas.node(2).is("primary").await;
        replicas.node(1).is("replica").await;
        replicas.go_on_with(2).await;
    });
}

/// Neither is taken as right: both stop, and whoever differs from its own refold begins anew.
#[test]
fn of_two_both_stop_and_the_one_that_its_refold_belies_begins_anew() {
    for odd in [1, 2] {
        SimWorld::run(720, |world| async move {
            let (mut replicas, mut client) = Replicas::start(&world, 2).await;
            replicas.write(&mut client).await;
            replicas.rot(odd);
            replicas.write_one(&mut client).await.unwrap();
            let right = 3 - odd;
            let writes = (0..EVERY + 10).map(|n| {
                let op = commit("f", b"bytes", v1::CommitMode::Replace);
                let seq = replicas.seq + 1 + n;
                client.mutation((seq % 4) as u32, seq, op)
            });
            client.send(writes.collect()).await;
            replicas.node(odd).role.failed().await;
            // The other cannot know that, until it hears of a state that agrees with its own.
            replicas.node(right).env.sleep(Duration::from_secs(2)).await;
            let status = replicas.node(right).role.status().await.unwrap();
            assert_ne!(status.doubt, "");
            let mut asker = replicas.node(right).client().await;
            for view in [None, Some(v1::view::View::AtLeastLsn(1))] {
                let refused = asker.stat("f", view).await.unwrap_err();
                assert_eq!(refused.code(), Code::Unavailable);
            }
            let digest = request(Op::Digest(v1::DigestRequest { at_lsn: 0 }));
            assert!(asker.ask(digest).await.is_ok(), "digests are still told");

            replicas.open_again(odd).await;
            let primary = if odd == 1 { 2 } else { 1 };
            replicas.node(primary).is("primary").await;
            replicas.trusts_itself(primary).await;
            replicas.node(3 - primary).is("replica").await;
            replicas.go_on_with(primary).await;
        });
    }
}

/// A refold agrees with what is held: a build folds wrongly, or what was told was damaged. Nobody is wiped.
#[test]
fn who_agrees_with_its_refold_stops_until_the_other_agrees() {
    SimWorld::run(730, |world| async move {
        let (mut replicas, mut client) = Replicas::start(&world, 2).await;
        replicas.write(&mut client).await;
        replicas.node(1).env.sleep(Duration::from_secs(1)).await;
        let status = replicas.node(1).role.status().await.unwrap();
        assert_eq!(status.agreed_lsn, EVERY);
        let told = status.digests_told[1];
        let lane = dfs_log::SharedLog::appender(&*replicas.cluster.log, Default::default());
        let wrong = crate::plan::control::digest_taken(0, 2, (told.lsn, told.digest + 1), 0);
        append(&lane.await.unwrap(), wrong);
        let (one, two) = (replicas.node(1), replicas.node(2));
        one.env.sleep(Duration::from_secs(5)).await;
        assert_ne!(one.role.status().await.unwrap().doubt, "");
        assert_eq!(one.role.suspect(), None);
        assert_eq!(two.role.status().await.unwrap().doubt, "");
        let refused = client.mutate(0, 500, mkdir("d")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let lane = dfs_log::SharedLog::appender(&*replicas.cluster.log, Default::default());
        let right = crate::plan::control::digest_taken(0, 2, (told.lsn, told.digest), 0);
        append(&lane.await.unwrap(), right);
        one.env.sleep(Duration::from_secs(1)).await;
        assert_eq!(one.role.status().await.unwrap().doubt, "");
        client.mutate(0, 501, mkdir("d")).await.unwrap();
    });
}

/// A wrong state that was found and not set aside, because the process ended: found again.
#[test]
fn a_store_that_differs_is_found_when_it_is_opened_again() {
    SimWorld::run(740, |world| async move {
        let (mut replicas, mut client) = Replicas::start(&world, 3).await;
        replicas.write(&mut client).await;
        replicas.rot(3);
        replicas.write(&mut client).await;
        replicas.node(3).role.failed().await;
        replicas.node(3).role.stop().await;
        let view = replicas.views[2].clone();
        replicas.nodes[2] = replicas.cluster.start_with(3, view).await;
        replicas.open_again(3).await;
        replicas.node(3).is("replica").await;
        replicas.all_agree().await;
    });
}

/// What was snapshot behind the last LSN agreed on may hold the same mistake.
#[test]
fn it_begins_from_a_snapshot_that_all_agreed_on() {
    SimWorld::run(750, |world| async move {
        let (mut cluster, _shelf) = super::snapshots::cluster(&world, 0);
        cluster.settings.replicas = 3;
        cluster.settings.digest_every = EVERY;
        let (mut replicas, mut client) = Replicas::of(cluster, 3).await;
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.push(client.snapshot().await.unwrap().lsn);
            replicas.write(&mut client).await;
            replicas.cluster.log.trim(taken[0]);
        }
        replicas.node(1).env.sleep(Duration::from_secs(1)).await;
        let agreed = replicas.node(1).role.status().await.unwrap().agreed_lsn;
        assert!(taken[1] < agreed);
        replicas.rot(3);
        replicas.write_one(&mut client).await.unwrap();
        let late = client.snapshot().await.unwrap().lsn;
        assert!(agreed < late);
        replicas.write(&mut client).await;
        replicas.open_again(3).await;
        replicas.node(3).is("replica").await;
        replicas.all_agree().await;
    });
}
