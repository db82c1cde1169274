//! The slots of one session: at most so many mutations in flight, each with its own sequence.

use std::sync::Arc;

use dfs_wire::{Code, Refusal, limits};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Slots {
    free: Mutex<Vec<Free>>,
    permits: Arc<Semaphore>,
}

struct Free {
    slot: u32,
    last_seq: u64,
}

/// A slot in use: one mutation, however many attempts. Given back when it is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    pub(crate) slot: u32,
    pub(crate) seq: u64,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(crate) fn new(granted: u32) -> Arc<Slots> {
        let count = granted.clamp(1, limits::SESSION_SLOTS);
        let free = (0..count).rev().map(|slot| Free { slot, last_seq: 0 });
        Arc::new(Slots {
            free: Mutex::new(free.collect()),
            permits: Arc::new(Semaphore::new(count as usize)),
        })
    }

    pub(crate) async fn take(self: &Arc<Slots>) -> Result<Slot, Refusal> {
        let stopped = || Refusal::new(Code::Unavailable, "a slot", "the session is closed");
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| stopped())?;
        let Free { slot, last_seq } = self.free.lock().pop().ok_or_else(stopped)?;
        let slots = self.clone();
        Ok(Slot {
            slots,
            slot,
            seq: last_seq + 1,
            _permit: permit,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Before the permit: whoever gets that finds a slot.
        let free = Free {
            slot: self.slot,
            last_seq: self.seq,
        };
        self.slots.free.lock().push(free);
    }
}
