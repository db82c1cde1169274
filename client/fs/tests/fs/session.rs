//! Exactly once, whatever happens to requests and answers on their way (F1).

use std::collections::BTreeMap;
use std::time::Duration;

use dfs_fs::{Address, AppendOptions, Code, Fs, FsConfig, Refusal, When, WriteOptions, source_of};
use futures::future::join_all;

use crate::fake::{Chance, Cluster, Fate, LEASE_US};

fn log_path() -> Address {
    Address::new("/log").unwrap()
}

async fn make_log(fs: &Fs) {
    fs.write(&log_path(), source_of(""), WriteOptions::default())
        .await
        .unwrap();
}

/// Appends `<number>` in a form that cannot be mistaken.
async fn append(fs: &Fs, number: usize) -> Result<u64, Refusal> {
    let line = format!("<{number}>");
    let appended = fs
        .append(&log_path(), source_of(line), AppendOptions::default())
        .await;
    appended.map(|committed| committed.lsn)
}

async fn times(fs: &Fs, number: usize) -> usize {
    let all = fs
        .read(&log_path(), When::Head, None)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    String::from_utf8_lossy(&all)
        .matches(&format!("<{number}>"))
        .count()
}

#[tokio::test(start_paused = true)]
async fn no_append_is_lost_or_doubled_by_drops_delays_doubles_and_broken_streams() {
    let mut seen = BTreeMap::<String, usize>::new();
    for seed in 0..40 {
        let cluster = Cluster::new();
        let fs = cluster.fs().await;
        make_log(&fs).await;
        cluster.state.lock().chance = Some(Chance::new(seed));
        let appends = join_all((0..100).map(|number| append(&fs, number)));
        let fail_over = async {
            fs.env().sleep(Duration::from_millis(700 + 50 * seed)).await;
            cluster.fail_over();
        };
        let (outcomes, ()) = futures::join!(appends, fail_over);
        cluster.state.lock().chance = None;
        fs.env().sleep(Duration::from_secs(20)).await; // the late ones have arrived
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let times = times(&fs, number).await;
            let code = outcome
                .as_ref()
                .map_or_else(|e| format!("{:?}", e.code()), |_| "Ok".into());
            *seen.entry(code).or_default() += 1;
            match outcome {
                Ok(_) => assert_eq!(times, 1, "seed {seed}: {number} was acknowledged"),
                Err(e) if e.code() == Code::TimedOut => {
                    assert!(times <= 1, "seed {seed}: {number}")
                }
                Err(e) => assert_eq!(times, 0, "seed {seed}: {number} was refused: {e:?}"),
            }
        }
        assert!(
            !cluster.state.lock().slots.sent_twice,
            "every send is a new attempt"
        );
    }
    assert!(seen["Ok"] > 3900, "{seen:?}");
}

/// Success counts from any attempt: the first one's answer comes while the second is lost.
#[tokio::test(start_paused = true)]
async fn the_late_answer_of_an_earlier_attempt_counts() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::DelayAnswer(4_000), Fate::Drop]);
    append(&fs, 1).await.unwrap();
    assert_eq!(times(&fs, 1).await, 1);
}

/// A refusal counts only from the last attempt: the first one's comes after the second was sent.
#[tokio::test(start_paused = true)]
async fn the_late_refusal_of_an_earlier_attempt_does_not() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    cluster.fates(&[Fate::DelayAnswer(3_200), Fate::Delay(1_000)]);
    let appending = append(&fs, 1);
    let making = async {
        fs.env().sleep(Duration::from_millis(3_100)).await;
        let node = cluster.state.lock().namespace.nodes[&Vec::new()].clone();
        cluster
            .state
            .lock()
            .namespace
            .nodes
            .insert(b"log".to_vec(), node);
    };
    let (appended, ()) = futures::join!(appending, making);
    appended.unwrap();
}

/// The own session stands: gone is the one under which the extents were stored. Only whoever has the
/// bytes can store them again.
#[tokio::test(start_paused = true)]
async fn a_session_gone_that_is_not_the_own_one_ends_the_mutation() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::Refuse(Code::SessionGone)]);
    let refusal = append(&fs, 1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::SessionGone);
    assert_eq!(times(&fs, 1).await, 0);
}

/// What a connection is refused for says nothing about an attempt that was sent over another one.
#[tokio::test(start_paused = true)]
async fn a_mismatch_after_an_unanswered_attempt_leaves_the_outcome_unknown() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::DropAnswer, Fate::Refuse(Code::Mismatch)]);
    let refusal = append(&fs, 1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::TimedOut);
    assert_eq!(times(&fs, 1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_known_is_said_with_what_to_do() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::DropAnswer; 100]);
    let refusal = append(&fs, 1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::TimedOut);
    assert!(
        refusal.get().advice.contains("before you repeat it"),
        "{}",
        refusal.get().advice
    );
    assert!(!refusal.get().not_done);
    cluster.state.lock().fates.clear();
    append(&fs, 2).await.unwrap();
    assert_eq!((times(&fs, 1).await, times(&fs, 2).await), (1, 1));
}

/// All attempts were answered with a refusal: then it is known that nothing happened.
#[tokio::test(start_paused = true)]
async fn what_is_refused_until_the_end_is_refused() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::Refuse(Code::Busy); 1000]);
    let refusal = append(&fs, 1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Busy);
    assert!(refusal.get().not_done);
}

#[tokio::test(start_paused = true)]
async fn a_full_cluster_is_said_at_once() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::Refuse(Code::NoSpace)]);
    let begun = fs.env().now();
    assert_eq!(append(&fs, 1).await.unwrap_err().code(), Code::NoSpace);
    assert!(fs.env().now() - begun < Duration::from_secs(1));
}

/// A session that was refused is asked for again by the next mutation.
#[tokio::test(start_paused = true)]
async fn a_refused_session_is_not_refused_for_ever() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    cluster.state.lock().full = true;
    let at = log_path();
    let write = || fs.write(&at, source_of(""), WriteOptions::default());
    assert_eq!(write().await.unwrap_err().code(), Code::NoSpace);
    cluster.state.lock().full = false;
    write().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn moved_goes_to_the_new_primary_under_its_term() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    for number in 0..6 {
        cluster.fail_over();
        append(&fs, number).await.unwrap();
        assert_eq!(times(&fs, number).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_falls_silent_is_left_for_the_next() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    let silent = cluster.state.lock().primary;
    cluster.state.lock().silent[silent] = true;
    cluster.fail_over();
    append(&fs, 1).await.unwrap();
    assert_eq!(times(&fs, 1).await, 1);
}

/// FOLD-S1: on the first attempt nothing can have happened.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_is_replaced() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::ForgetSession]);
    append(&fs, 1).await.unwrap();
    assert_eq!(times(&fs, 1).await, 1);
    assert_eq!(cluster.state.lock().slots.last_session, 2);
}

/// FOLD-S1: on a later one the outcome is unknown.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_on_a_later_attempt_leaves_the_outcome_unknown() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.fates(&[Fate::DropAnswer, Fate::ForgetSession]);
    assert_eq!(append(&fs, 1).await.unwrap_err().code(), Code::TimedOut);
    assert_eq!(times(&fs, 1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn at_most_as_many_mutations_as_slots_are_in_flight() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    make_log(&fs).await;
    cluster.state.lock().mutation_takes_us = 1000;
    let appended = join_all((0..500).map(|number| append(&fs, number))).await;
    assert!(appended.iter().all(Result::is_ok));
    assert_eq!(cluster.state.lock().mutating_most, 64);
}

#[tokio::test(start_paused = true)]
async fn the_session_opens_late_lives_on_and_is_closed() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    fs.stat(&Address::root(0), When::Head).await.unwrap();
    assert_eq!(
        cluster.state.lock().slots.last_session,
        0,
        "reads need no session"
    );
    make_log(&fs).await;
    fs.env().sleep(Duration::from_micros(10 * LEASE_US)).await;
    assert!(
        cluster.state.lock().slots.kept >= 20,
        "three times in every lease"
    );
    append(&fs, 1).await.unwrap();
    assert_eq!(cluster.state.lock().slots.last_session, 1);
    fs.close().await.unwrap();
    assert!(cluster.state.lock().slots.open.is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_share_a_message() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    let root = Address::root(0);
    let stats = join_all((0..1000).map(|_| fs.stat(&root, When::Head))).await;
    assert!(stats.iter().all(Result::is_ok));
    let messages = cluster.state.lock().messages;
    assert!(messages < 50, "{messages} messages for 1,000 requests");
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_elsewhere_when_one_is_silent_and_ends_when_both_are() {
    for silent in [0, 1] {
        let cluster = Cluster::new();
        cluster.state.lock().silent[silent] = true;
        let fs = cluster.fs().await;
        fs.stat(&Address::root(0), When::Head).await.unwrap();
        cluster.state.lock().silent = [true, true];
        let config = FsConfig::default();
        let begun = fs.env().now();
        let refusal = fs.stat(&Address::root(0), When::Head).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unavailable);
        let waited = fs.env().now() - begun;
        assert!(
            waited <= config.timeout + Duration::from_secs(1),
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_replica_has_lost_another_may_have() {
    for ill in [0, 1] {
        let cluster = Cluster::new();
        cluster.state.lock().ill[ill] = Some(Code::Lost);
        let fs = cluster.fs().await;
        for _ in 0..4 {
            fs.stat(&Address::root(0), When::Head).await.unwrap();
        }
        cluster.state.lock().ill = [Some(Code::Lost); 2];
        let begun = fs.env().now();
        let refusal = fs.stat(&Address::root(0), When::Head).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Lost, "both were asked");
        assert!(fs.env().now() - begun < Duration::from_secs(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_patient_read_goes_elsewhere_too() {
    for ill in [0, 1] {
        let cluster = Cluster::new();
        cluster.state.lock().ill[ill] = Some(Code::Unavailable);
        let fs = cluster.fs().await;
        let begun = fs.env().now();
        for _ in 0..4 {
            fs.digest(Some(1)).await.unwrap();
        }
        assert!(fs.env().now() - begun < Duration::from_secs(4));
    }
}
