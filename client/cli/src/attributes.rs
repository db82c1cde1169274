//! Attributes of one entry, or of all below it: what chmod and chown share.
use crate::call::{Call, Place};
use crate::failure::Outcome;
use dfs_fs::{AttrChange, Entry, Kind};
use futures::{StreamExt, TryStreamExt};

/// Changes in flight: each waits for the log, and many share one write of it.
const IN_FLIGHT: usize = 64;

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) entries: u64,
    pub(crate) lsn: u64,
}

/// Sets what `wanted` says of `root`, which stands at `place`, and with `recursive` of all below it.
/// `links`: symlinks below too, else they are left out.
pub(crate) async fn change(
    call: &Call,
    place: &Place,
    root: &Entry,
    recursive: bool,
    links: bool,
    wanted: impl Fn(&Entry) -> AttrChange,
) -> Outcome<Changed> {
    if recursive {
        call.one_record("-R changes all below, too")?;
    }
    let dry_run = call.globals.dry_run;
    let set = async |at: dfs_fs::Address, change: AttrChange| match dry_run {
        true => Ok(0),
        false => place.fs.set_attr(&at, change).await.map(|done| done.lsn),
    };
    let mut changed = Changed {
        entries: 1,
        lsn: set(place.at.clone(), wanted(root)).await?,
    };
    if !recursive || !root.is_directory() {
        return Ok(changed);
    }
    let below = place.fs.walk(&place.at, place.when);
    let sent = below.try_filter_map(async |walked| {
        let left_out = walked.entry.kind == Kind::Symlink && !links;
        Ok((!left_out).then(|| (walked.address, wanted(&walked.entry))))
    });
    let sent = sent.map_ok(|(at, change)| set(at, change));
    let mut done = std::pin::pin!(sent.try_buffer_unordered(IN_FLIGHT));
    while let Some(lsn) = done.next().await {
        changed.lsn = changed.lsn.max(lsn?);
        changed.entries += 1;
    }
    Ok(changed)
}
