//! Frames: what was frozen is read back; any damage is refused; old bytes are read for ever.
use bytes::Bytes;
use dfs_wire::Tag;
use dfs_wire::frame::{Frame, FrameDraft, FrameError, FrameHead, Order, first_chain};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

fn draft(records: Vec<Vec<u8>>) -> FrameDraft {
    FrameDraft {
        tags: vec![Tag::shard(0), Tag::CONTROL],
        guards: Bytes::from_static(b"guards"),
        order: Some(Order {
            shard: 0,
            term: 7,
            n: 3,
        }),
        privileged: false,
        records: records.into_iter().map(Bytes::from).collect(),
    }
}

#[test]
fn a_frame_is_read_back_as_it_was_frozen() {
    let draft = draft(vec![b"one".to_vec(), vec![], b"three".to_vec()]);
    let frame = draft.freeze(5, 100, 42);
    let read = Frame::parse(frame.bytes().clone()).expect("well formed");
    assert_eq!(read.header, frame.header);
    assert_eq!(
        (read.header.lane, read.header.first_idx, read.end_idx()),
        (5, 100, 103)
    );
    assert_eq!(read.header.tags, draft.tags);
    assert_eq!(read.header.order, draft.order);
    assert_eq!(read.header.guards, draft.guards);
    assert_eq!(read.records().expect("well formed"), draft.records);
    assert_eq!(read.chain_after(), frame.chain_after());
}

#[test]
fn a_head_carries_the_chain_as_its_frame_does() {
    for records in [vec![b"one".to_vec(), vec![]], vec![vec![7; 30_000]]] {
        let frame = draft(records).freeze(5, 100, 42);
        let head = frame.head();
        let read = FrameHead::parse(&head).expect("well formed");
        assert_eq!(
            (read.lane, read.first_idx, read.end_idx(), read.chain),
            (5, 100, frame.end_idx(), 42)
        );
        assert_eq!(read.chain_after, frame.chain_after());
        assert_eq!(read.frame_bytes, frame.bytes().len());
        assert_eq!(
            FrameHead::parse(&head[..head.len() - 1]),
            Err(FrameError::Short)
        );
        for at in 0..head.len() {
            let mut bytes = head.to_vec();
            bytes[at] ^= 1;
            let other = FrameHead::parse(&bytes);
            assert!(other.is_err() || other.expect("read").chain_after != frame.chain_after());
        }
    }
}

#[test]
fn the_chain_depends_on_every_part() {
    let base = draft(vec![b"a".to_vec()]);
    let chain = base.freeze(1, 0, 9).chain_after();
    let mut other = base.clone();
    other.order = None;
    let changed = [
        base.freeze(2, 0, 9),
        base.freeze(1, 1, 9),
        base.freeze(1, 0, 8),
        other.freeze(1, 0, 9),
        draft(vec![b"b".to_vec()]).freeze(1, 0, 9),
    ];
    assert!(changed.iter().all(|frame| frame.chain_after() != chain));
}

/// LOG-A4: on another lane it is as if it had been frozen there.
#[test]
fn a_frame_that_moves_has_another_place_and_the_same_records() {
    for records in [vec![b"one".to_vec(), vec![]], vec![vec![7; 30_000]]] {
        let draft = draft(records);
        let moved = draft.freeze(5, 100, 42).moved(6, 0, 43);
        assert_eq!(moved.bytes(), draft.freeze(6, 0, 43).bytes());
        assert_eq!(moved.records().expect("well formed"), draft.records);
    }
}

#[test]
fn a_large_regular_body_is_compressed_and_read_back() {
    let draft = draft(vec![vec![7; 30_000], vec![8; 30_000]]);
    let frame = draft.freeze(1, 0, 0);
    assert!(frame.bytes().len() < 10_000);
    assert_eq!(frame.records().expect("well formed"), draft.records);
}

#[test]
fn golden_bytes_of_version_1() {
    let frame =
        draft(vec![b"one".to_vec(), b"two".to_vec()]).freeze(5, 100, first_chain(b"c", 1, 5, 2, 3));
    let golden = include_bytes!("golden/v1/frame.bin");
    assert_eq!(
        frame.bytes().as_ref(),
        golden,
        "old bytes are kept for ever"
    );
    let read = Frame::parse(Bytes::from_static(golden)).expect("old frames are read for ever");
    assert_eq!(
        read.chain_after(),
        0x2483_7f57_f65d_8dd4_be77_d551_1d53_5559
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_records_come_back(records in vec(vec(any::<u8>(), 0..200), 1..20), lane: u64, idx in 0..u64::MAX / 2, chain: u128) {
        let draft = draft(records);
        let frame = draft.freeze(lane, idx, chain);
        let read = Frame::parse(frame.bytes().clone()).expect("well formed");
        prop_assert_eq!(read.records().expect("well formed"), draft.records);
        prop_assert_eq!(read.chain_after(), frame.chain_after());
    }

    #[test]
    fn any_flipped_bit_or_cut_is_refused(records in vec(vec(any::<u8>(), 0..64), 1..5), at: proptest::sample::Index, bit in 0..8u8) {
        let frame = draft(records).freeze(1, 0, 0);
        let mut bytes = frame.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes.truncate(at);
        prop_assert!(Frame::parse(Bytes::from(bytes)).is_err());
        let mut bytes = frame.bytes().to_vec();
        bytes[at] ^= 1 << bit;
        prop_assert!(Frame::parse(Bytes::from(bytes)).is_err());
    }

    #[test]
    fn garbage_is_refused_not_asserted(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(matches!(Frame::parse(Bytes::from(bytes)), Err(FrameError::Short | FrameError::Magic)));
    }
}
