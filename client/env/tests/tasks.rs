//! Tasks, groups, and the determinism of a simulated world.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dfs_env::sim::SimWorld;
use dfs_env::{Env, EnvRng, current};
use rand::Rng;

/// A small program whose order of events depends on chance; returns a hash of that order.
fn trace(seed: u64) -> u64 {
    SimWorld::run(seed, |world| async move {
        let seen = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..8u64)
            .map(|id| {
                let (env, seen) = (world.node(&format!("n{}", id % 3)).group("g"), seen.clone());
                let inner = env.clone();
                world.put_off_one_poll_in(3);
                env.spawn("worker", async move {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                        let delay = Duration::from_micros(EnvRng.next_u64() % 50);
                        inner.sleep(delay).await;
                        let mix = |s: u64| (s ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        let _ =
                            seen.try_update(Ordering::SeqCst, Ordering::SeqCst, |s| Some(mix(s)));
                    }
                    inner.wall_us()
                })
            })
            .collect();
        let mut walls = 0;
        for task in tasks {
            walls ^= task.await.unwrap_or(1);
        }
        walls ^ seen.load(Ordering::SeqCst)
    })
}

#[test]
fn one_seed_is_one_run() {
    let traces: Vec<u64> = (0..20).map(trace).collect();
    assert_eq!(traces, (0..20).map(trace).collect::<Vec<_>>());
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn wall_clocks_step_per_node() {
    SimWorld::run(5, |world| async move {
        let (a, b) = (world.node("a"), world.node("b"));
        assert_eq!(a.wall_us(), b.wall_us());
        world.set_clock_offset_us("b", -3_600_000_000);
        a.sleep(Duration::from_secs(5)).await;
        assert_eq!(a.wall_us(), b.wall_us() + 3_600_000_000);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_ends_the_group_and_its_children_only() {
    let env = Env::real();
    let (doomed, spared) = (env.group("doomed"), env.group("spared"));
    let child = doomed.group("child");
    let forever = || std::future::pending::<()>();
    let (a, b) = (doomed.spawn("a", forever()), child.spawn("b", forever()));
    let c = spared.spawn("c", async { current().name().to_owned() });
    assert_eq!(doomed.stop().await, 2);
    assert!(a.await.is_err() && b.await.is_err());
    assert_eq!(c.await.as_deref(), Ok("spared"));
    assert!(child.group("late").is_crashed());
    assert!(!env.is_crashed());
    assert_eq!(env.blocking(|| 7).await, 7);
    assert!(
        env.timeout(Duration::from_millis(1), forever())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_panic_is_told_from_a_stop() {
    let end = Env::real().spawn("p", async { panic!("on purpose") }).await;
    assert!(end.is_err_and(|end: dfs_env::TaskEnd| end.is_panic()));
}

#[test]
fn what_outlives_a_world_is_counted() {
    let (env, remains) = SimWorld::run(1, |world| async move {
        let (kept, gone) = (world.node("kept"), world.node("gone"));
        let task = gone.spawn("waits", std::future::pending::<()>());
        drop((gone, task));
        (kept, world.remains())
    });
    assert_eq!(remains.holders(), 1, "the node that is kept");
    drop(env);
    assert_eq!(remains.holders(), 0);
}
