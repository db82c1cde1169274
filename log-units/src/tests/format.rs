//! FORMAT.md says what the code does: each layout it lists is compared, field by field.

use std::mem::offset_of;

use crate::extents::layout as extents;
use crate::extents::layout::Placed;
use crate::log::entries as log;
use crate::unit::note::{LaneNote, Note, Stamp, StampedRun};

const FORMAT: &str = include_str!("../../FORMAT.md");

/// (offset, name) of the rows below the heading that names a struct: `| offset | bytes | name | … |`.
fn rows(heading: &str) -> Vec<(usize, String)> {
    let begin = FORMAT
        .find(heading)
        .unwrap_or_else(|| panic!("{heading} is not in FORMAT.md"));
    let lines = FORMAT[begin..]
        .lines()
        .skip(1)
        .skip_while(|line| !line.starts_with('|'));
    let table = lines.take_while(|line| line.starts_with('|')).skip(2);
    table
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let offset = cells
                .next()
                .and_then(|cell| cell.parse().ok())
                .expect("an offset");
            (offset, cells.nth(1).expect("a name").to_string())
        })
        .collect()
}

macro_rules! same {
    ($heading:literal, $name:ty { $($field:ident),* }) => {
        let code = vec![$((offset_of!($name, $field), stringify!($field).to_string())),*];
        assert_eq!(rows($heading), code, $heading);
    };
}

#[test]
fn layouts_of_the_log_are_as_written() {
    same!(
        "### Stamp (kind 2)",
        log::StampHeader {
            cut_seq,
            raft_index,
            log_time_us,
            known_from_lsn,
            next_lsn,
            previous_cut_seq
        }
    );
    same!(
        "### Run of a stamp",
        log::RunEntry {
            lane,
            from_idx,
            to_idx,
            first_lsn,
            chain
        }
    );
    same!("### Copied stamp (kind 5)", log::CopiedHeader { stripe });
    same!(
        "### Lane (kind 3)",
        log::LaneEntry {
            lane,
            stripe,
            first_chain,
            node_id,
            incarnation
        }
    );
    same!(
        "### Begin of a lane (kind 4)",
        log::BeginEntry {
            lane,
            stripe,
            begin_idx,
            flags,
            chain
        }
    );
}

#[test]
fn layouts_of_extents_are_as_written() {
    same!(
        "### File header",
        extents::FileHeader {
            magic,
            version,
            reserved,
            file_nonce,
            file_no,
            crc32c
        }
    );
    same!(
        "### Mark",
        extents::Mark {
            magic,
            crc32c,
            file_nonce,
            synced_through
        }
    );
    same!(
        "### Begin of an extent",
        extents::Begin {
            magic,
            version,
            kind,
            file_nonce,
            offset,
            synced_through,
            session,
            counter,
            group,
            length,
            crc32c
        }
    );
    same!(
        "### End of an extent",
        extents::End {
            magic,
            length,
            file_nonce,
            offset,
            session,
            counter,
            data_crc32c,
            crc32c
        }
    );
}

#[test]
fn numbers_are_as_written() {
    for number in [
        format!("kind {}: a frame", log::KIND_FRAME),
        format!("### Stamp (kind {})", log::KIND_STAMP),
        format!("### Lane (kind {})", log::KIND_LANE),
        format!("### Copied stamp (kind {})", log::KIND_COPIED),
        format!("multiple of {}", extents::ALIGN_BYTES),
        format!("at {}, the mark", extents::MARK_AT),
        format!(
            "Kind {} is an extent, kind {} a void",
            extents::KIND_EXTENT,
            extents::KIND_VOID
        ),
    ] {
        assert!(FORMAT.contains(&number), "FORMAT.md does not say: {number}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stamp() -> Stamp {
    let run = StampedRun {
        lane: 3,
        from_idx: 5,
        to_idx: 9,
        first_lsn: 70,
        chain: 0x0102_0304 << 96,
    };
    Stamp {
        cut_seq: 11,
        raft_index: 12,
        log_time_us: 13,
        known_from_lsn: 60,
        next_lsn: 74,
        previous_cut_seq: 8,
        runs: vec![run],
    }
}

/// Bytes that were written once are read for ever: these files never change.
#[test]
fn old_bytes_are_read() {
    let lane = LaneNote {
        lane: 3,
        stripe: 1,
        first_chain: 7 << 64,
        node_id: 5,
        incarnation: 6,
    };
    let placed = Placed {
        file_nonce: 77,
        offset: 4096,
        session: 5,
        counter: 9,
        group: 2,
        length: 70_000,
    };
    let notes = [
        (
            Note::Stamp(stamp()),
            include_str!("../../tests/golden/v1/stamp.hex"),
        ),
        (
            Note::Lane(lane),
            include_str!("../../tests/golden/v1/lane.hex"),
        ),
        (
            Note::Copied(2, stamp()),
            include_str!("../../tests/golden/v1/copied.hex"),
        ),
    ];
    for (note, golden) in notes {
        let (kind, bytes) = log::encode_note(&note);
        assert_eq!(hex(&bytes), golden.trim());
        let decoded = log::decode(kind, bytes).expect("an entry");
        assert!(matches!(decoded, log::Entry::Note(found) if found == note));
    }
    let header = extents::encode_file_header(77, 3);
    let begin = extents::encode_begin(&placed, extents::KIND_EXTENT, 4096);
    let tail = extents::encode_tail(&placed, &[1, 2], 3);
    let mark = extents::encode_mark(77, 81_920);
    for (bytes, golden) in [
        (
            &header[..24],
            include_str!("../../tests/golden/v1/extent_file.hex"),
        ),
        (
            &begin[..],
            include_str!("../../tests/golden/v1/extent_begin.hex"),
        ),
        (
            &tail[..],
            include_str!("../../tests/golden/v1/extent_tail.hex"),
        ),
        (
            &mark[..],
            include_str!("../../tests/golden/v1/extent_mark.hex"),
        ),
    ] {
        assert_eq!(hex(bytes), golden.trim());
    }
    assert_eq!(extents::decode_file_header(&header, 3), Some(77));
    assert_eq!(
        extents::decode_begin(&begin, 77, 4096).map(|begin| begin.placed()),
        Some(placed)
    );
    assert_eq!(extents::decode_tail(&tail, &placed), Some((vec![1, 2], 3)));
    assert_eq!(extents::decode_mark(&mark, 77), Some(81_920));
}
