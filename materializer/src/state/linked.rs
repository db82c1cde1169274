//! Files and symlinks of several names: each entry holds inode and kind, the inode's own row holds the rest.
use super::rows::Row;
use super::values::EntryValue;

/// What an entry still holds.
pub(crate) fn name(whole: &EntryValue) -> EntryValue {
    EntryValue {
        inode: whole.inode,
        kind: whole.kind,
        linked: true,
        ..EntryValue::default()
    }
}

/// An entry with what its inode's own row holds. Its version is the newer of the two: that of the name, or that of
/// what all names share.
pub(crate) fn whole<E>(
    entry: Row<EntryValue>,
    own: impl FnOnce(u64) -> Result<Option<Row<EntryValue>>, E>,
) -> Result<Row<EntryValue>, E> {
    if !entry.value.linked {
        return Ok(entry);
    }
    let Some(own) = own(entry.value.inode)? else {
        return Ok(entry);
    };
    let newer = if own.lsn > entry.lsn {
        own.log_time_us
    } else {
        entry.log_time_us
    };
    Ok(Row {
        lsn: own.lsn.max(entry.lsn),
        log_time_us: newer,
        value: EntryValue {
            linked: true,
            ..own.value
        },
    })
}
