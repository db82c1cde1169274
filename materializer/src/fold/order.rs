//! FOLD-X5: frames of one shard carry (shard, term, n), so that a frame that a unit left out is noticed.
use super::Halt;
use crate::state::keys::{self, letter};
use crate::state::values::OrderValue;
use crate::state::{self};
use crate::view::Read;
use dfs_wire::frame::Order;

/// What to count for this frame. Frames of the current term count, void ones too: `n` was given to them.
/// A frame of an older term is void by its guard and not counted: its successor in that term may never come.
pub(crate) fn counted(
    control: &dyn Read,
    lsn: u64,
    order: Option<Order>,
) -> Result<Option<(Vec<u8>, OrderValue)>, Halt> {
    let Some(order) = order else { return Ok(None) };
    let gap = |folded| Halt::Gap {
        lsn,
        shard: order.shard,
        folded,
        found: order.n,
    };
    let Some(term) = state::term(control, order.shard)? else {
        return Err(gap(0));
    };
    if order.term < term.lsn {
        return Ok(None);
    }
    // A term that is not known yet: its TermStarted was left out.
    if order.term > term.lsn || order.n != term.frames + 1 {
        return Err(gap(term.frames));
    }
    let key = keys::control(letter::ORDER, &[order.shard]);
    Ok(Some((
        key,
        OrderValue {
            term: order.term,
            frames: order.n,
        },
    )))
}
