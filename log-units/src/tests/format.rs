//! FORMAT.md says what the code does: each layout it lists is compared, field by field.

use std::mem::offset_of;

use crate::extents::layout as extents;
use crate::log::entries as log;

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
