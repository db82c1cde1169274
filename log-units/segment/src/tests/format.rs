//! FORMAT.md says what the code does: each table is compared with its struct, field by field.

use std::mem::offset_of;

use crate::layout::{
    BATCH_MAGIC, BatchHeader, EntryHeader, IndexRow, OldEnds, SEGMENT_MAGIC, SegmentHeader, VERSION,
};

const FORMAT: &str = include_str!("../../../FORMAT.md");

/// (offset, bytes, name) of the rows of the table below a heading.
fn rows(heading: &str) -> Vec<(usize, usize, String)> {
    let (_, section) = FORMAT
        .split_once(heading)
        .expect("the heading is in FORMAT.md");
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let table = lines.take_while(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = |at: usize| cells[at].parse().expect("a number");
        (number(1), number(2), cells[3].to_string())
    };
    table.map(row).collect()
}

macro_rules! same {
    ($heading:literal, $name:ty { $($field:ident),* }) => {
        let ends = [$(offset_of!($name, $field)),*].into_iter().skip(1).chain([size_of::<$name>()]);
        let begins = [$((offset_of!($name, $field), stringify!($field))),*];
        let code: Vec<(usize, usize, String)> = begins.into_iter().zip(ends)
            .map(|((offset, name), end)| (offset, end - offset, name.to_string())).collect();
        assert_eq!(rows($heading), code, $heading);
    };
}

#[test]
fn the_tables_are_the_structs() {
    same!(
        "### Segment header\n",
        SegmentHeader {
            magic,
            version,
            flags,
            salt,
            number,
            base,
            previous,
            kept_from,
            file_bytes,
            reserved,
            crc
        }
    );
    same!(
        "### Batch header\n",
        BatchHeader {
            magic,
            version,
            flags,
            segment,
            offset,
            synced_through,
            salt,
            body_bytes,
            body_crc,
            entries,
            reserved,
            crc
        }
    );
    same!(
        "### Entry header\n",
        EntryHeader {
            len,
            crc,
            kind,
            reserved
        }
    );
    same!(
        "### End record (kind 255)\n",
        OldEnds {
            completes,
            old,
            ends_at
        }
    );
    same!(
        "### Row of the index (kind 254)\n",
        IndexRow {
            position,
            len,
            kind,
            reserved
        }
    );
}

#[test]
fn the_constants_are_in_the_prose() {
    let text = |bytes: &[u8]| format!("`{}`", String::from_utf8_lossy(bytes));
    assert!(FORMAT.contains(&text(&SEGMENT_MAGIC)) && FORMAT.contains(&text(&BATCH_MAGIC)));
    assert!(FORMAT.contains("8192 + p − base") && crate::layout::DATA_AT == 8192);
    assert!(FORMAT.contains("multiple of 64") && crate::layout::BATCH_ALIGN == 64);
    assert!(FORMAT.contains("multiple of 8") && crate::layout::ENTRY_ALIGN == 8);
    assert!(FORMAT.contains("Kinds up to 239") && crate::KIND_MAX == 239);
    assert_eq!(VERSION, 1);
}
