//! The canonical encoding of an effect, and the digest over effects (FOLD-X4).
//!
//! digest' = xxh3_64(digest, lsn, effect). Effect: keyspace (u8), key, old, new. Key, old and new each behind a
//! length (u32); no row: length 0xffffffff. Numbers little-endian. Keys are as in `state/keys.rs`, values the
//! messages of `state/values.rs`: never what a store makes of them, so its format may change.
use crate::view::Keyspace;
use xxhash_rust::xxh3::Xxh3;

const ABSENT: u32 = u32::MAX;

pub(crate) fn after(
    digest: u64,
    lsn: u64,
    space: Keyspace,
    key: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> u64 {
    let small = key.len() + old.map_or(0, <[u8]>::len) + new.map_or(0, <[u8]>::len);
    // One contiguous buffer is hashed several times faster than a stream of small parts; large values are streamed.
    if small <= 2048 {
        let mut buffer = Vec::with_capacity(small + 29);
        parts(digest, lsn, space, key, old, new, |part| {
            buffer.extend_from_slice(part)
        });
        return xxhash_rust::xxh3::xxh3_64(&buffer);
    }
    let mut hash = Xxh3::new();
    parts(digest, lsn, space, key, old, new, |part| hash.update(part));
    hash.digest()
}

fn parts(
    digest: u64,
    lsn: u64,
    space: Keyspace,
    key: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
    mut take: impl FnMut(&[u8]),
) {
    take(&digest.to_le_bytes());
    take(&lsn.to_le_bytes());
    take(&[space as u8]);
    for value in [Some(key), old, new] {
        take(
            &value
                .map_or(ABSENT, |value| value.len() as u32)
                .to_le_bytes(),
        );
        take(value.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changing this number means that no replica of another build agrees any more.
    #[test]
    fn the_digest_of_an_effect_is_what_it_always_was() {
        let after = after(7, 42, Keyspace::Head, b"key", None, Some(b"new"));
        let bytes = [
            &7u64.to_le_bytes()[..],
            &42u64.to_le_bytes(),
            &[0],
            b"\x03\0\0\0key",
            b"\xff\xff\xff\xff",
            b"\x03\0\0\0new",
        ]
        .concat();
        assert_eq!(after, xxhash_rust::xxh3::xxh3_64(&bytes));
    }

    #[test]
    fn large_effects_hash_alike_in_one_piece_and_in_parts() {
        let value = vec![5u8; 3000];
        let streamed = after(1, 2, Keyspace::Blocks, b"k", Some(&value), None);
        let mut whole = Vec::new();
        parts(1, 2, Keyspace::Blocks, b"k", Some(&value), None, |p| {
            whole.extend_from_slice(p)
        });
        assert_eq!(streamed, xxhash_rust::xxh3::xxh3_64(&whole));
    }
}
