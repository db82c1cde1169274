//! What the shard loop has folded, as everybody else sees it.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dfs_wire::{Code, Refusal};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::view::Snapshot;

/// Ends kept for bounded reads: more are not outstanding, as one is asked at a time.
const ENDS_KEPT: usize = 64;
/// Waiters that gave up are looked for when there are this many.
const PRUNE_FROM: usize = 1024;

/// The newest folded state, and those who wait for a newer one.
#[derive(Default)]
pub(crate) struct Published {
    newest: ArcSwapOption<Snapshot>,
    waiting: Mutex<Waiting>,
    /// (when it was asked for, next_lsn), rising in both (FOLD-R3).
    ends: Mutex<VecDeque<(Instant, u64)>>,
}

#[derive(Default)]
struct Waiting {
    by_lsn: BTreeMap<u64, Vec<oneshot::Sender<()>>>,
    count: usize,
    prune_at: usize,
    closed: bool,
    /// Nothing newer comes for now: whoever would wait is told at once.
    stuck: Option<Refusal>,
    doubt: Option<Doubt>,
}

/// FOLD-X4b: what is folded here may be wrong; nothing is answered from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doubt {
    pub(crate) why: Refusal,
    /// Askers wait: it may be over in a moment.
    pub(crate) is_young: bool,
}

impl Published {
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let lsn = snapshot.stamp.lsn;
        let woken = {
            let mut waiting = self.waiting.lock();
            if waiting.closed {
                return; // the role has ended: nothing is served from it any more
            }
            self.newest.store(Some(Arc::new(snapshot)));
            if waiting
                .by_lsn
                .first_key_value()
                .is_none_or(|(first, _)| *first > lsn)
            {
                return;
            }
            let later = waiting.by_lsn.split_off(&(lsn + 1));
            let woken = std::mem::replace(&mut waiting.by_lsn, later);
            waiting.count -= woken.values().map(Vec::len).sum::<usize>();
            woken
        };
        for waiter in woken.into_values().flatten() {
            let _ = waiter.send(()); // it gave up: nobody to tell
        }
    }

    /// Nothing newer comes; the store is let go.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock();
        self.newest.store(None);
        waiting.closed = true;
        waiting.by_lsn.clear();
    }

    /// Who waits for a newer state, or would, gets this refusal, until it is taken back.
    pub(crate) fn set_stuck(&self, why: Option<Refusal>) {
        let woken = {
            let mut waiting = self.waiting.lock();
            if waiting.stuck == why {
                return;
            }
            let is_stuck = why.is_some();
            waiting.stuck = why;
            if !is_stuck {
                return;
            }
            waiting.count = 0;
            std::mem::take(&mut waiting.by_lsn)
        };
        drop(woken); // they look again, outside of the lock
    }

    pub(crate) fn stuck(&self) -> Option<Refusal> {
        self.waiting.lock().stuck.clone()
    }

    /// `None`: it is over.
    pub(crate) fn set_doubt(&self, doubt: Option<Doubt>) {
        let woken = {
            let mut waiting = self.waiting.lock();
            if waiting.doubt == doubt {
                return;
            }
            waiting.doubt = doubt;
            waiting.count = 0;
            std::mem::take(&mut waiting.by_lsn)
        };
        drop(woken); // they look again, outside of the lock
    }

    pub(crate) fn doubt(&self) -> Option<Doubt> {
        self.waiting.lock().doubt.clone()
    }

    /// Not for answers: those come from [`Published::at_least`].
    pub(crate) fn newest(&self) -> Result<Arc<Snapshot>, Refusal> {
        self.newest.load_full().ok_or_else(stopped)
    }

    pub(crate) fn applied_lsn(&self) -> u64 {
        self.newest
            .load()
            .as_ref()
            .map_or(0, |snapshot| snapshot.stamp.lsn)
    }

    /// Waits until everything up to `lsn` is folded, and may be answered from.
    pub(crate) async fn at_least(&self, lsn: u64) -> Result<Arc<Snapshot>, Refusal> {
        loop {
            let told = {
                let mut waiting = self.waiting.lock();
                let newest = self.newest()?;
                let may_wait = match &waiting.doubt {
                    Some(doubt) if !doubt.is_young => return Err(doubt.why.clone()),
                    Some(_) => true,
                    None => false,
                };
                if newest.stamp.lsn >= lsn && !may_wait {
                    return Ok(newest);
                }
                waiting.add(lsn)?
            };
            let _ = told.await; // or something else changed: it is looked at again
        }
    }

    /// Waits until everything up to `lsn` is folded, rightly or not.
    pub(crate) async fn folded(&self, lsn: u64) -> Result<Arc<Snapshot>, Refusal> {
        loop {
            let told = {
                let mut waiting = self.waiting.lock();
                let newest = self.newest()?;
                if newest.stamp.lsn >= lsn {
                    return Ok(newest);
                }
                waiting.add(lsn)?
            };
            let _ = told.await; // or something else changed: it is looked at again
        }
    }

    /// An `End` that was asked for at `sent` said `next_lsn`.
    pub(crate) fn heard_end(&self, sent: Instant, next_lsn: u64) {
        let mut ends = self.ends.lock();
        if ends.back().is_some_and(|(last, _)| *last >= sent) {
            return;
        }
        if ends.len() == ENDS_KEPT {
            ends.pop_front();
        }
        ends.push_back((sent, next_lsn));
    }

    /// FOLD-R3: since when the folded state is known to have held everything.
    pub(crate) fn fresh_since(&self) -> Option<Instant> {
        let applied = self.applied_lsn();
        let ends = self.ends.lock();
        let known = ends
            .iter()
            .rev()
            .find(|(_, next_lsn)| applied + 1 >= *next_lsn);
        known.map(|(sent, _)| *sent)
    }
}

impl Waiting {
    fn add(&mut self, lsn: u64) -> Result<oneshot::Receiver<()>, Refusal> {
        if self.closed {
            return Err(stopped());
        }
        if let Some(why) = &self.stuck {
            return Err(why.clone());
        }
        if self.count >= self.prune_at.max(PRUNE_FROM) {
            self.prune();
        }
        let (tell, told) = oneshot::channel();
        self.by_lsn.entry(lsn).or_default().push(tell);
        self.count += 1;
        Ok(told)
    }

    fn prune(&mut self) {
        for waiters in self.by_lsn.values_mut() {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        self.by_lsn.retain(|_, waiters| !waiters.is_empty());
        self.count = self.by_lsn.values().map(Vec::len).sum();
        self.prune_at = 2 * self.count;
    }
}

pub(crate) fn stopped() -> Refusal {
    Refusal::new(Code::Unavailable, "materializer", "it stops")
        .advice("Ask another replica, or this one again once it runs")
}

#[cfg(test)]
mod tests {
    use super::Published;
    use crate::view::{MemoryView, View};

    #[test]
    fn nothing_is_published_after_the_end() {
        let (published, view) = (Published::default(), MemoryView::new());
        published.publish(view.snapshot());
        assert!(published.newest().is_ok());
        published.close();
        published.publish(view.snapshot());
        assert!(
            published.newest().is_err(),
            "the loop may fold a little longer"
        );
    }
}
