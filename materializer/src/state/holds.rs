//! The block map as those look at it who ask what lies where.
use super::rows::value_of;
use super::values::HoldValue;
use crate::view::{Keyspace, Read, STAMP_KEY, ViewError};
use std::collections::BTreeSet;

/// Of the next `rows` from a key on: the groups in which something lies that is held now, and where to go on;
/// `None`: that was all.
pub(crate) fn held(
    read: &dyn Read,
    from: &[u8],
    rows: usize,
) -> Result<(BTreeSet<u64>, Option<Vec<u8>>), ViewError> {
    let (mut groups, mut last, mut count) = (BTreeSet::new(), None, 0);
    for row in read.scan(Keyspace::Blocks, from, STAMP_KEY).take(rows) {
        let (key, row) = row?;
        let hold: HoldValue = value_of(row)?;
        if hold.released == 0 {
            groups.insert(hold.group);
        }
        (last, count) = (Some(key), count + 1);
    }
    let next = last.filter(|_| count == rows).map(|key| {
        let mut next = key.to_vec();
        next.push(0);
        next
    });
    Ok((groups, next))
}
