//! When nobody has a range of the log, or nobody who has it answers: what the reader is told (LOG-R3, LOG-U7).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_env::Env;
use dfs_log::testing::{FakeCluster, Fault};
use dfs_log::{ClusterLog, Draft, Follow, Follower, SharedLog};
use dfs_wire::v1::Owner;
use dfs_wire::{Code, Refusal};
use futures::future::join_all;

const ONE: Owner = Owner {
    node_id: 1,
    incarnation: 100,
};
const OTHER: Owner = Owner {
    node_id: 2,
    incarnation: 200,
};
/// Far more than what any of these waits needs, in paused time.
const PATIENCE: Duration = Duration::from_secs(120);

fn draft(n: u64) -> Draft {
    Draft {
        record: Bytes::from(format!("record {n}")),
        ..Draft::default()
    }
}

/// A cluster with 30 records on its only stripe, and another process that wants them.
async fn written(env: &Env, r: u64, w: u32) -> (Arc<FakeCluster>, Arc<ClusterLog>) {
    let cluster = FakeCluster::new(env.clone(), 1, r, w);
    let log = ClusterLog::open(env.group("one"), cluster.connector(), ONE);
    let appender = log.appender(ONE).await.unwrap();
    for n in 0..30 {
        appender.append(draft(n)).await.unwrap().await.unwrap();
    }
    let other = ClusterLog::open(env.group("other"), cluster.connector(), OTHER);
    (cluster, other)
}

async fn refused(env: &Env, follower: &mut Follower) -> Refusal {
    let refused = async {
        loop {
            if let Err(refusal) = follower.next().await {
                return refusal;
            }
        }
    };
    env.timeout(PATIENCE, refused).await.expect("an answer")
}

/// What is waited for, and no word of an end.
async fn waits(env: &Env, follower: &mut Follower) -> Refusal {
    for _ in 0..1000 {
        let ended = env
            .timeout(Duration::from_millis(50), follower.next())
            .await;
        assert!(ended.is_err(), "{ended:?}");
        if let Some(refusal) = follower.waits_for() {
            return refusal;
        }
    }
    panic!("it never says whom it waits for");
}

#[tokio::test(start_paused = true)]
async fn a_range_that_no_copy_has_is_lost_and_named_with_the_units() {
    for (first, second) in [
        (Fault::Blank, Fault::Blank),
        (Fault::Damaged, Fault::Blank),
        (Fault::Damaged, Fault::Damaged),
    ] {
        let env = Env::real();
        let (cluster, other) = written(&env, 2, 2).await;
        cluster.set_fault(0, 0, first);
        cluster.set_fault(0, 1, second);
        let mut follower = other.follow(1, Follow::default()).await.unwrap();
        let refusal = refused(&env, &mut follower).await;
        assert_eq!((refusal.code(), refusal.get().lsn), (Code::Lost, 1));
        let text = refusal.to_string();
        for said in ["LSN 1 to at most 30", "unit 10", "unit 11"] {
            assert!(text.contains(said), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_unit_counts_as_without() {
    let env = Env::real();
    let (cluster, other) = written(&env, 2, 2).await;
    cluster.set_fault(0, 0, Fault::Blank);
    cluster.set_dead(0, 1);
    let mut follower = other.follow(1, Follow::default()).await.unwrap();
    let refusal = refused(&env, &mut follower).await;
    assert_eq!(refusal.code(), Code::Lost);
    assert!(refusal.to_string().contains("unit 11 is Dead"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_only_away_is_waited_for_by_name() {
    let env = Env::real();
    let (cluster, other) = written(&env, 2, 2).await;
    cluster.set_fault(0, 0, Fault::Damaged);
    cluster.set_fault(0, 1, Fault::Down);
    let mut follower = other.follow(1, Follow::default()).await.unwrap();
    let refusal = waits(&env, &mut follower).await;
    assert_eq!(refusal.code(), Code::Unavailable);
    let text = refusal.to_string();
    for said in [
        "LSN 1 to at most 30",
        "unit 10: its checksum differs",
        "unit 11: it is down",
    ] {
        assert!(text.contains(said), "{text}");
    }
    cluster.set_fault(0, 1, Fault::None);
    let batch = env.timeout(PATIENCE, follower.next()).await.unwrap();
    assert!(batch.is_ok(), "it goes on by itself");
    assert_eq!(follower.waits_for(), None);
}

#[tokio::test(start_paused = true)]
async fn a_seal_that_was_missed_moves_the_lane() {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), 1, 1, 1);
    let log = ClusterLog::open(env.group("one"), cluster.connector(), ONE);
    let appender = log.appender(ONE).await.unwrap();
    appender.append(draft(1)).await.unwrap().await.unwrap();
    cluster.set_sequencer_down(true);
    cluster.set_fault(0, 0, Fault::Stalled);
    let ticket = appender.append(draft(2)).await.unwrap();
    cluster.seal_lanes();
    cluster.set_sequencer_down(false);
    env.sleep(Duration::from_secs(5)).await;
    cluster.set_fault(0, 0, Fault::None);
    let answered = env.timeout(PATIENCE, ticket).await.expect("an answer");
    assert_eq!(answered.unwrap().lsn, 2);
    assert_eq!(appender.lane(), 2);
}

/// The records of one lane can be looked for only once its unit is back; the other lane does not wait.
#[tokio::test(start_paused = true)]
async fn looking_for_missed_records_holds_up_nobody_else() {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), 2, 1, 1);
    let log = ClusterLog::open(env.group("one"), cluster.connector(), ONE);
    let (missed, other) = (
        log.appender(ONE).await.unwrap(),
        log.appender(ONE).await.unwrap(),
    );
    let what = Follow {
        own: true,
        ..Follow::default()
    };
    let mut follower = log.follow(1, what).await.unwrap();
    missed.append(draft(0)).await.unwrap().await.unwrap();
    cluster.set_sequencer_down(true);
    let mut tickets = Vec::new();
    for n in 1..6 {
        tickets.push(missed.append(draft(n)).await.unwrap());
        env.sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(cluster.stored_records(0, 0), 6, "stored and cut, unheard");
    cluster.forget_cuts();
    cluster.set_fault(0, 0, Fault::Stalled);
    cluster.set_sequencer_down(false);
    while log.heard().unwrap().0 < 7 {
        env.sleep(Duration::from_millis(20)).await;
    }
    for n in 0..5 {
        let ticket = other.append(draft(n)).await.unwrap();
        let answered = env.timeout(PATIENCE, ticket).await;
        answered.expect("cuts are heard meanwhile").unwrap();
    }
    cluster.set_fault(0, 0, Fault::None);
    tickets.push(missed.append(draft(6)).await.unwrap());
    let answered = env.timeout(PATIENCE, join_all(tickets)).await;
    let answered = answered.expect("found");
    let lsns: Vec<u64> = answered.into_iter().map(|told| told.unwrap().lsn).collect();
    assert_eq!(lsns, [2, 3, 4, 5, 6, 12]);
    let mut through = 0;
    let mut records = 0;
    while through < 12 {
        let next = env.timeout(PATIENCE, follower.next()).await;
        for event in next.expect("the fold goes on").unwrap().events {
            match event {
                dfs_log::Event::Frame(at) => records += at.frame.header.count,
                dfs_log::Event::Through { lsn, .. } => through = lsn,
            }
        }
    }
    assert_eq!(records, 12, "each once");
}

/// A cut that is heard while records of its lane are looked for comes without them. A follower that
/// reaches it only when all is found asks units for it, also where it asks them for nothing else of the lane.
#[tokio::test(start_paused = true)]
async fn a_cut_heard_while_records_are_looked_for_is_read_from_units() {
    let env = Env::real();
    let cluster = FakeCluster::new(env.clone(), 2, 1, 1);
    let log = ClusterLog::open(env.group("one"), cluster.connector(), ONE);
    let other = ClusterLog::open(env.group("other"), cluster.connector(), OTHER);
    let (here, there) = (
        log.appender(ONE).await.unwrap(),
        other.appender(OTHER).await.unwrap(),
    );
    let what = Follow {
        own: true,
        ..Follow::default()
    };
    let mut follower = log.follow(1, what).await.unwrap();
    cluster.set_sequencer_down(true);
    let mut missed = Vec::new();
    for appender in [&here, &there] {
        missed.push(appender.append(draft(missed.len() as u64)).await.unwrap());
    }
    env.sleep(Duration::from_millis(20)).await;
    cluster.forget_cuts();
    cluster.set_fault(1, 0, Fault::Stalled); // records are looked for until it answers
    cluster.set_sequencer_down(false);
    while log.heard().unwrap().0 < 3 {
        env.sleep(Duration::from_millis(20)).await;
    }
    let waits = env
        .timeout(Duration::from_millis(20), follower.next())
        .await;
    assert!(
        waits.is_err(),
        "it hears cuts, and has to read what was missed"
    );
    missed.push(here.append(draft(2)).await.unwrap());
    while log.heard().unwrap().0 < 4 {
        env.sleep(Duration::from_millis(20)).await;
    }
    cluster.set_fault(1, 0, Fault::None);
    let answered = env.timeout(PATIENCE, join_all(missed)).await;
    assert!(answered.expect("found").iter().all(Result::is_ok));
    here.append(draft(3)).await.unwrap().await.unwrap();
    let (mut through, mut lsns) = (0, Vec::new());
    while through < 4 {
        let next = env.timeout(PATIENCE, follower.next()).await;
        for event in next.expect("the fold goes on").unwrap().events {
            match event {
                dfs_log::Event::Frame(at) => lsns.extend(at.first_lsn..=at.last_lsn()),
                dfs_log::Event::Through { lsn, .. } => through = lsn,
            }
        }
    }
    assert_eq!(lsns, [1, 2, 3, 4], "each once");
}
