//! One frame, from memory or read back from the disk and verified.

use std::sync::Arc;

use dfs_segment::Position;
use dfs_wire::frame::Frame;

use crate::log::ledger::Ledger;
use crate::unit::lane::Held;

/// Why there is no frame to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Since it was looked up; what is held now is not damaged.
    SetAside,
    /// Since it was looked up.
    Trimmed,
    /// What was read is not what was written. It is marked, and fetched from a peer (LOG-U7).
    Damaged,
}

/// LOG-U7: what is read is verified, against its own checksums and against what was staged.
pub(crate) async fn read_back(ledger: &Ledger, lane: u64, held: &Held) -> Result<Arc<Frame>, Lack> {
    let kept = ledger.cache.get(lane, held.end_idx(), held.chain_after());
    if let Some(frame) = kept {
        ledger.metrics.cache_hits.add(1);
        return Ok(frame);
    }
    ledger.metrics.cache_misses.add(1);
    let position = held.position().or_else(|| position_now(ledger, lane, held));
    let position = position.ok_or(Lack::SetAside)?;
    let why = match read(ledger, position, held.len()).await {
        Ok(frame) if is_held(&frame, lane, held) => return Ok(Arc::new(frame)),
        Ok(_) => "another frame lies there".to_string(),
        Err(_) if is_trimmed(ledger, lane, held) => return Err(Lack::Trimmed),
        Err(why) => why,
    };
    let (first_idx, end_idx) = (held.first_idx(), held.end_idx());
    tracing::error!(lane, first_idx, end_idx, why, "read a frame back");
    ledger.state.lock().forget_held(lane, held, position);
    ledger.now_readable(); // what repairs it waits for this, too
    ledger.now_tellable();
    Err(Lack::Damaged)
}

fn is_trimmed(ledger: &Ledger, lane: u64, held: &Held) -> bool {
    let state = ledger.state.lock();
    let lane = state.lane(lane);
    lane.is_none_or(|lane| held.end_idx() <= lane.begin_idx())
}

/// Of a frame that was written, and then let go by the cache, since it was looked up.
fn position_now(ledger: &Ledger, lane: u64, held: &Held) -> Option<u64> {
    let state = ledger.state.lock();
    let now = state.lane(lane)?.frame_holding(held.first_idx())?;
    let same = now.end_idx() == held.end_idx() && now.chain_after() == held.chain_after();
    now.position().filter(|_| same)
}

async fn read(ledger: &Ledger, position: u64, len: u32) -> Result<Frame, String> {
    let read = ledger
        .reader
        .read_sized(Position(position), len as usize)
        .await;
    let entry = read.map_err(|e| e.to_string())?;
    Frame::parse(entry.bytes).map_err(|e| e.to_string())
}

fn is_held(frame: &Frame, lane: u64, held: &Held) -> bool {
    frame.header.lane == lane
        && frame.end_idx() == held.end_idx()
        && frame.chain_after() == held.chain_after()
}
