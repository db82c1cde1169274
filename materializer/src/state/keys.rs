//! How rows are keyed. Numbers are big-endian, so that order of keys is order of numbers.
//!
//! | keyspace | key | row |
//! |---|---|---|
//! | head | tree, parent, name | entry; the root's is (0, 0, "") |
//! | head | tree, inode, "" | a directory's own row; that of a file or symlink that was linked |
//! | head | tree, inode, "/", offset | a run of extents of a file; no name holds a slash |
//! | history | a key of head, 0, !lsn | a superseded row of it; no name holds a zero byte |
//! | slots | session, shard, slot | last result |
//! | blocks | session and counter of an extent, tree, inode | hold |
//! | blocks | session and counter of an extent, 2^64 − 1, shard | hold of a snapshot |
//! | control | a letter, then as below | |
use dfs_wire::v1::ExtentId;

/// Sorts below every name of an entry.
pub(crate) const FIRST_NAME: &[u8] = &[1];
const CHUNK: u8 = b'/';

/// First bytes of keys in control. They never come back.
pub(crate) mod letter {
    pub(crate) const AGREED: u8 = b'a';
    pub(crate) const BEGUN_OF: u8 = b'B';
    pub(crate) const LOG_BYTES: u8 = b'b';
    pub(crate) const CLUSTER: u8 = b'c';
    pub(crate) const DIGEST: u8 = b'd';
    pub(crate) const DIGEST_OF: u8 = b'D';
    pub(crate) const SETTING: u8 = b'e';
    pub(crate) const SETTING_HISTORY: u8 = b'E';
    pub(crate) const FLOOR: u8 = b'f';
    pub(crate) const GROUP: u8 = b'g';
    pub(crate) const COUNTS: u8 = b'i';
    pub(crate) const PLACE: u8 = b'k';
    pub(crate) const PLACE_HISTORY: u8 = b'K';
    pub(crate) const TIME_OF: u8 = b'L';
    pub(crate) const NONCE: u8 = b'n';
    pub(crate) const ORDER: u8 = b'o';
    pub(crate) const REPLICA: u8 = b'r';
    pub(crate) const SESSION: u8 = b's';
    pub(crate) const SNAPSHOT: u8 = b'S';
    pub(crate) const TERM: u8 = b't';
    pub(crate) const LSN_OF: u8 = b'T';
}

/// In place of a tree, where a snapshot holds an extent: no tree has it.
const SNAPSHOTS: u64 = u64::MAX;

pub(crate) fn snapshot_hold(extent: &ExtentId, shard: u64) -> Vec<u8> {
    hold(extent, SNAPSHOTS, shard)
}

fn join(first: &[u8], numbers: &[u64], last: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(first.len() + numbers.len() * 8 + last.len());
    key.extend_from_slice(first);
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key.extend_from_slice(last);
    key
}

pub(crate) fn entry(tree: u64, parent: u64, name: &[u8]) -> Vec<u8> {
    join(&[], &[tree, parent], name)
}

pub(crate) fn own(tree: u64, inode: u64) -> Vec<u8> {
    entry(tree, inode, &[])
}

pub(crate) fn chunk(tree: u64, inode: u64, offset: u64) -> Vec<u8> {
    let mut key = entry(tree, inode, &[CHUNK]);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// All chunks of a file: [from, to) in head, and in history.
pub(crate) fn chunks(tree: u64, inode: u64) -> (Vec<u8>, Vec<u8>) {
    (
        entry(tree, inode, &[CHUNK]),
        entry(tree, inode, &[CHUNK + 1]),
    )
}

/// All entries of a directory from this name on: [from, to) in head, and in history.
pub(crate) fn names_from(tree: u64, parent: u64, name: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (
        entry(tree, parent, name.max(FIRST_NAME)),
        entry(tree, parent, &[0xff; 256]),
    )
}

/// The name in a key of head.
pub(crate) fn name_of(key: &[u8]) -> &[u8] {
    key.get(16..).unwrap_or_default()
}

/// Whether a key of head is that of an entry, and not a directory's own or a chunk.
pub(crate) fn is_entry(key: &[u8]) -> bool {
    !matches!(name_of(key).first(), None | Some(&CHUNK))
}

/// Whether a key of head is an inode's own.
pub(crate) fn is_own(key: &[u8]) -> bool {
    name_of(key).is_empty()
}

pub(crate) fn history(head: &[u8], lsn: u64) -> Vec<u8> {
    join(head, &[], &[&[0][..], &(!lsn).to_be_bytes()].concat())
}

/// All versions of a key that are not newer than `lsn`: [from, to) in history.
pub(crate) fn history_until(head: &[u8], lsn: u64) -> (Vec<u8>, Vec<u8>) {
    (history(head, lsn), join(head, &[], &[1]))
}

/// (key of head, lsn) of a key of history.
pub(crate) fn split_history(key: &[u8]) -> Option<(&[u8], u64)> {
    let (rest, lsn) = key.split_last_chunk::<8>()?;
    let (_, head) = rest.split_last()?;
    Some((head, !u64::from_be_bytes(*lsn)))
}

/// A row of control.
pub(crate) fn control(letter: u8, numbers: &[u64]) -> Vec<u8> {
    join(&[letter], numbers, &[])
}

/// All rows of control with this letter: [from, to).
pub(crate) fn all(letter: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![letter], vec![letter + 1])
}

/// All rows of control that begin with a letter and a number: [from, to).
pub(crate) fn all_of(letter: u8, number: u64) -> (Vec<u8>, Vec<u8>) {
    (
        control(letter, &[number]),
        join(&[letter], &[number], &[0xff; 17]),
    )
}

/// The last number in a key.
pub(crate) fn last_number(key: &[u8]) -> u64 {
    key.last_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub(crate) fn nonce(client_nonce: &[u8]) -> Vec<u8> {
    join(&[letter::NONCE], &[], client_nonce)
}

pub(crate) fn slot(session: u64, shard: u64, slot: u32) -> Vec<u8> {
    join(&[], &[session, shard], &slot.to_be_bytes())
}

/// All slots of a session: [from, to).
pub(crate) fn slots(session: u64) -> (Vec<u8>, Vec<u8>) {
    (
        join(&[], &[session], &[]),
        join(&[], &[session], &[0xff; 13]),
    )
}

pub(crate) fn hold(extent: &ExtentId, tree: u64, inode: u64) -> Vec<u8> {
    join(&[], &[extent.session, extent.counter, tree, inode], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name never hides among the versions of another, nor before them.
    #[test]
    fn history_keeps_the_order_of_names_and_puts_the_newest_first() {
        let keys: Vec<Vec<u8>> = [
            (&b"a"[..], 9),
            (b"a", 2),
            (b"a\x01", 5),
            (b"ab", 1),
            (b"\xff", 3),
        ]
        .into_iter()
        .map(|(name, lsn)| history(&entry(0, 7, name), lsn))
        .collect();
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|key| split_history(key).is_some()));
        assert_eq!(split_history(&keys[1]), Some((&entry(0, 7, b"a")[..], 2)));
        let (from, to) = history_until(&entry(0, 7, b"a"), 8);
        let inside: Vec<&Vec<u8>> = keys
            .iter()
            .filter(|key| **key >= from && **key < to)
            .collect();
        assert_eq!(inside, [&keys[1]]);
    }

    #[test]
    fn own_rows_and_chunks_are_no_names() {
        let (from, to) = names_from(0, 7, b"");
        assert!(own(0, 7) < from && entry(0, 7, &[0xff; 255]) < to && to < own(0, 8));
        assert!(
            !is_entry(&own(0, 7)) && !is_entry(&chunk(0, 7, 0)) && is_entry(&entry(0, 7, b"x"))
        );
    }
}
