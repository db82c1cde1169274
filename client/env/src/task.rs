//! Tasks tied to a group, the env of the task that runs now, and random numbers drawn from it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::env::Env;

thread_local! {
    static CURRENT: RefCell<Option<Env>> = const { RefCell::new(None) };
}

/// The env of the task that is polled on this thread now; the real one outside of any task.
///
/// For code that cannot be handed an `Env`, like the async runtime that openraft wants as a type.
pub fn current() -> Env {
    static REAL: OnceLock<Env> = OnceLock::new();
    let running = CURRENT.with(|current| current.borrow().clone());
    running.unwrap_or_else(|| REAL.get_or_init(Env::real).clone())
}

/// A spawned task: await it to join. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    handle: JoinHandle<T>,
}

impl<T> Task<T> {
    pub(crate) fn new(name: &'static str, handle: JoinHandle<T>) -> Self {
        Task { name, handle }
    }

    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// True when the task has returned, panicked or been aborted.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The name given at `spawn`.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        let joined = Pin::new(&mut self.handle).poll(cx);
        joined.map(|result| {
            result.map_err(|e| TaskEnd {
                name,
                panic: e.is_panic().then(|| e.to_string()),
            })
        })
    }
}

/// Why a task ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnd {
    name: &'static str,
    panic: Option<String>,
}

impl TaskEnd {
    /// True for a panic, false for an abort or a crash of the group.
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(panic) => write!(f, "task {} panicked: {panic}", self.name),
            None => write!(f, "task {} was stopped", self.name),
        }
    }
}

impl std::error::Error for TaskEnd {}

/// Wraps a task's future: sets `current` while it is polled, obeys E1, and lets a simulated world
/// put a poll off.
pub(crate) struct InGroup<F> {
    env: Option<Env>,
    future: Pin<Box<F>>,
    put_off: bool,
    /// While the process is paused.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<F: Future> InGroup<F> {
    pub(crate) fn new(env: Env, future: F) -> Self {
        InGroup {
            env: Some(env),
            future: Box::pin(future),
            put_off: false,
            pause: None,
        }
    }
}

/// Puts the former env back also when the poll panics.
struct Entered<'a> {
    own: &'a mut Option<Env>,
    former: Option<Env>,
}

impl<'a> Entered<'a> {
    fn new(own: &'a mut Option<Env>) -> Self {
        let former = CURRENT.with(|current| current.replace(own.take()));
        Entered { own, former }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let former = self.former.take();
        *self.own = CURRENT.with(|current| current.replace(former));
    }
}

impl<F: Future> Future for InGroup<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(env) = &this.env else {
            return Poll::Pending;
        };
        if env.is_crashed() {
            return Poll::Pending; // aborted: tokio drops it next
        }
        if let Some(until) = env.paused_until() {
            #[allow(
                clippy::disallowed_methods,
                reason = "a paused process has no env to sleep by"
            )]
            let pause = || Box::pin(tokio::time::sleep_until(until));
            if this
                .pause
                .get_or_insert_with(pause)
                .as_mut()
                .poll(cx)
                .is_pending()
            {
                return Poll::Pending;
            }
        }
        this.pause = None;
        if !this.put_off && env.puts_poll_off() {
            this.put_off = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.put_off = false;
        let _entered = Entered::new(&mut this.env);
        this.future.as_mut().poll(cx)
    }
}

/// A random number generator that draws from [`current`]'s env at every call: seeded in a
/// simulated world, the thread's generator otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvRng;

impl rand::TryRng for EnvRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(current().random_u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(current().random_u64())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let env = current();
        for chunk in dst.chunks_mut(8) {
            chunk.copy_from_slice(&env.random_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
