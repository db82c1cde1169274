//! openraft's async runtime over `dfs_env`: its tasks and its chance belong to the group that runs it.
#![allow(
    clippy::disallowed_methods,
    reason = "openraft wants tokio's timer futures as types; tokio's clock is the one that env gives"
)]
use dfs_env::{EnvRng, Task, TaskEnd, current};
use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{
    TokioInstant, TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime, TokioWatch,
};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Chosen by type, so it finds its env in the task that is running ([`dfs_env::current`]).
#[derive(Debug)]
pub(crate) struct EnvRuntime;

impl AsyncRuntime for EnvRuntime {
    type JoinError = TaskEnd;
    type JoinHandle<T: OptionalSend + 'static> = Task<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = EnvRng;
    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Task<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        current().spawn("raft", future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }

    fn sleep_until(deadline: TokioInstant) -> Self::Sleep {
        <TokioRuntime as AsyncRuntime>::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        tokio::time::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: TokioInstant,
        future: F,
    ) -> Self::Timeout<R, F> {
        <TokioRuntime as AsyncRuntime>::timeout_at(deadline, future)
    }

    fn is_panic(end: &TaskEnd) -> bool {
        end.is_panic()
    }

    fn thread_rng() -> EnvRng {
        EnvRng
    }

    fn new(_threads: usize) -> Self {
        EnvRuntime
    }

    /// Only openraft's own tests ask for a runtime of their own; a role runs in the one it is given.
    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        tokio::runtime::Handle::current().block_on(future)
    }

    async fn spawn_blocking<F, T>(f: F) -> io::Result<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(current().blocking(f).await)
    }
}
