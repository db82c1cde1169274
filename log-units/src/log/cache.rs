//! Recently written frames, so that followers never wait for the disk; first in, first out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dfs_wire::frame::Frame;
use parking_lot::Mutex;

/// (lane, end idx).
type Key = (u64, u64);

#[derive(Debug, Default)]
struct Kept {
    frames: BTreeMap<Key, Arc<Frame>>,
    order: VecDeque<(Key, usize)>,
    bytes: usize,
    /// Frames at the back that are not on the disk yet: never let go.
    unwritten: usize,
}

#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache {
            bytes_max,
            kept: Mutex::default(),
        }
    }

    /// A frame that was staged.
    pub(crate) fn insert(&self, frame: Arc<Frame>) {
        let (key, bytes) = ((frame.header.lane, frame.end_idx()), frame.bytes().len());
        let mut kept = self.kept.lock();
        kept.frames.insert(key, frame);
        kept.order.push_back((key, bytes));
        kept.bytes += bytes;
        kept.unwritten += 1;
    }

    /// The oldest `count` frames that were not written are now.
    pub(crate) fn written(&self, count: usize) {
        let mut kept = self.kept.lock();
        kept.unwritten = kept.unwritten.saturating_sub(count);
        while kept.bytes > self.bytes_max && kept.order.len() > kept.unwritten {
            let Some((key, bytes)) = kept.order.pop_front() else {
                break;
            };
            kept.bytes -= bytes;
            kept.frames.remove(&key);
        }
    }

    pub(crate) fn get(&self, lane: u64, end_idx: u64, chain: u128) -> Option<Arc<Frame>> {
        let frame = self.kept.lock().frames.get(&(lane, end_idx)).cloned();
        frame.filter(|frame| frame.chain_after() == chain)
    }
}
