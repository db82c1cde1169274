//! One answer that many wait for: set once, outside of every lock.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Set once; every [`Wait`] gets a clone.
pub(crate) struct Outcome<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Option<T>,
    /// One per waiter, so bounded by whoever hands out the waits.
    wakers: Vec<Waker>,
}

impl<T: Clone> Outcome<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Outcome {
            state: Mutex::new(State {
                value: None,
                wakers: Vec::new(),
            }),
        })
    }

    /// The first value stays.
    pub(crate) fn set(&self, value: T) {
        let wakers = {
            let mut state = self.state.lock();
            if state.value.is_some() {
                return;
            }
            state.value = Some(value);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    #[cfg(test)]
    pub(crate) fn get(&self) -> Option<T> {
        self.state.lock().value.clone()
    }

    pub(crate) fn wait(self: &Arc<Self>) -> Wait<T> {
        Wait {
            outcome: self.clone(),
            place: None,
        }
    }
}

/// Resolves to the outcome.
pub(crate) struct Wait<T> {
    outcome: Arc<Outcome<T>>,
    place: Option<usize>,
}

impl<T: Clone> Future for Wait<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut state = this.outcome.state.lock();
        if let Some(value) = &state.value {
            return Poll::Ready(value.clone());
        }
        match this.place {
            Some(place) => state.wakers[place].clone_from(cx.waker()),
            None => {
                this.place = Some(state.wakers.len());
                state.wakers.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}
