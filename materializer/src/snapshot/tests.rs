//! What is written is read back; what is damaged, anywhere, is refused with its place.
use super::decode::Damage;
use super::{Decoder, Encoder, Head, Piece, Row};
use crate::view::{Keyspace, Layer, MemoryView, Read, STAMP_KEY, Snapshot, Stamp, View};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

fn stamp() -> Stamp {
    Stamp {
        lsn: 42,
        log_time_us: 1_767_225_600_000_000,
        cut_seq: 7,
        digest: 0x0123_4567_89ab_cdef,
    }
}

fn view(rows: &[(usize, Vec<u8>, Vec<u8>)]) -> MemoryView {
    let view = MemoryView::new();
    let mut layer = Layer::default();
    for (space, key, value) in rows {
        layer.set(Keyspace::ALL[*space], key, Some(value.clone().into()));
    }
    view.commit(layer, stamp()).unwrap();
    view
}

fn encode(view: &MemoryView) -> Vec<Bytes> {
    let mut encoder = Encoder::new(view.snapshot(), 3);
    std::iter::from_fn(|| encoder.next().unwrap()).collect()
}

fn rows_of(snapshot: &Snapshot) -> Vec<Row> {
    let rows = Keyspace::ALL.into_iter().flat_map(|space| {
        let rows = snapshot.scan(space, &[], STAMP_KEY);
        rows.map(move |row| row.map(|(key, value)| (space, key, value)).unwrap())
    });
    rows.collect()
}

/// All rows, or where it is damaged. Fed in pieces of `step` bytes.
fn decode(bytes: &[u8], step: usize) -> Result<(Option<Head>, Vec<Row>), Damage> {
    let mut decoder = Decoder::default();
    let (mut head, mut rows) = (None, Vec::new());
    for piece in bytes.chunks(step) {
        decoder.push(piece);
        while let Some(piece) = decoder.next()? {
            match piece {
                Piece::Head(found) => head = Some(found),
                Piece::Rows(found) => rows.extend(found),
                Piece::End => {}
            }
        }
    }
    decoder.finish()?;
    Ok((head, rows))
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were(
        rows in vec((0..5_usize, vec(any::<u8>(), 1..20), vec(any::<u8>(), 0..300)), 0..50),
        large in vec((0..5_usize, vec(any::<u8>(), 1..4), 700_000..900_000_usize), 0..4),
        step in 1..5000_usize,
    ) {
        let mut all = rows;
        all.extend(large.into_iter().map(|(space, key, size)| (space, key, vec![7; size])));
        let view = view(&all);
        let (head, found) = decode(&encode(&view).concat(), step).unwrap();
        prop_assert_eq!(head, Some(Head { shard: 3, stamp: stamp() }));
        prop_assert_eq!(&found, &rows_of(&view.snapshot()));
        let loaded = MemoryView::new();
        loaded.begin_load().unwrap();
        loaded.load(found).unwrap();
        prop_assert_eq!(loaded.snapshot().stamp, Stamp::default());
        loaded.end_load(stamp()).unwrap();
        prop_assert_eq!(rows_of(&loaded.snapshot()), rows_of(&view.snapshot()));
        prop_assert_eq!(loaded.snapshot().stamp, stamp());
    }

    #[test]
    fn a_flipped_bit_and_a_cut_are_seen(
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        sizes in vec(0..900_000_usize, 1..4),
    ) {
        let row = |(n, size): (usize, &usize)| (n % 5, vec![n as u8], vec![n as u8; *size]);
        let whole = encode(&view(&sizes.iter().enumerate().map(row).collect::<Vec<_>>())).concat();
        let at = at.index(whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << bit;
        let damage = decode(&flipped, 4096).unwrap_err();
        prop_assert!(damage.at <= at as u64, "{damage}");
        prop_assert!(decode(&whole[..at], 4096).is_err());
    }
}

/// Many chunks: one left out, doubled, or put elsewhere is named.
#[test]
fn chunks_out_of_place_are_seen() {
    let rows: Vec<_> = (0..4_u8).map(|n| (0, vec![n], vec![n; 1 << 20])).collect();
    let parts = encode(&view(&rows));
    assert_eq!(parts.len(), 6);
    let told = |order: &[usize]| {
        let bytes: Vec<Bytes> = order.iter().map(|n| parts[*n].clone()).collect();
        decode(&bytes.concat(), 1000).map_err(|damage| damage.part)
    };
    assert!(told(&[0, 1, 2, 3, 4, 5]).is_ok());
    let chunk = |n: u32| Err(format!("chunk {n}"));
    assert_eq!(told(&[0, 1, 3, 4, 5]), chunk(1));
    assert_eq!(told(&[0, 1, 2, 2, 3, 4, 5]), chunk(2));
    assert_eq!(told(&[0, 2, 1, 3, 4, 5]), chunk(0));
    assert_eq!(told(&[0, 1, 2, 3, 5]), chunk(3));
    assert_eq!(told(&[1, 2, 3, 4, 5]), Err("head".to_owned()));
    assert_eq!(told(&[0, 1, 2, 3, 4, 5, 5]), Err("end".to_owned()));
}

/// Old bytes are read for ever: this file is only ever added to.
#[test]
fn a_snapshot_of_version_1_is_read() {
    let rows = [
        (0, b"a key of head".to_vec(), b"its value".to_vec()),
        (1, b"of history".to_vec(), Vec::new()),
        (3, b"of control".to_vec(), vec![0; 200]),
    ];
    let golden = include_bytes!("../../tests/golden/v1/snapshot.bin");
    let view = view(&rows);
    let (head, found) = decode(golden, 10).unwrap();
    assert_eq!(head.map(|head| head.stamp), Some(stamp()));
    assert_eq!(found, rows_of(&view.snapshot()));
}

/// SNAPSHOT.md says what the code does: each number that it names is compared.
#[test]
fn the_document_names_the_numbers_of_the_code() {
    use super::{
        CHUNK_BYTES_MAX, CHUNK_FIELDS, CHUNK_HEAD_BYTES, CHUNK_RAW_BYTES, FORMAT, HEAD_BYTES,
        HEAD_FIELDS, KIND_CHUNK, KIND_END, MAGIC, ROW_FIELDS,
    };
    const DOCUMENT: &str = include_str!("../../SNAPSHOT.md");
    let magic = String::from_utf8(MAGIC.to_vec()).unwrap();
    let mib = |bytes: usize| bytes >> 20;
    for said in [
        format!("| head | {HEAD_BYTES} | magic `{magic}`; format {FORMAT} (u32)"),
        format!("blake3 of the {HEAD_FIELDS} bytes before it"),
        format!("| chunk, any number | {CHUNK_HEAD_BYTES} + stored | kind {KIND_CHUNK}, index"),
        format!("| end | {CHUNK_HEAD_BYTES} | kind {KIND_END}, number of chunks"),
        format!("its own first {CHUNK_FIELDS} bytes"),
        "rows: keyspace (u8), length of key and of value (u32 each), key, value".to_owned(),
        format!(
            "brings it to {} MiB of raw bytes or more",
            mib(CHUNK_RAW_BYTES)
        ),
        format!(
            "{} MiB is the most that a reader takes",
            mib(CHUNK_BYTES_MAX)
        ),
    ] {
        assert!(DOCUMENT.contains(&said), "not in SNAPSHOT.md: {said}");
    }
    assert_eq!(ROW_FIELDS, 1 + 4 + 4);
}
