//! A file gets shorter, or longer by zeros.
use super::{Plan, content, file, path_of, place};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use bytes::BytesMut;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use dfs_wire::frame::crc32c;
use dfs_wire::limits::HOLE_BYTES_MAX;
use dfs_wire::{Code, Refusal, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Truncate) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "truncate",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    let entry = file(errand, &located)?;
    let before = plan.planning.content(path.tree, &entry.value)?;
    let mut draft = Draft::default();
    draft.done.inode = entry.value.inode;
    if op.size != before.size {
        let content = if op.size < before.size {
            shorter(before, op.size)
        } else {
            place::check_size(plan, errand, op.size)?;
            let inline_max = content::inline_bytes_max(plan.context.settings);
            longer(errand, before, op.size, inline_max)?
        };
        plan.set_content(&mut draft, &located, &entry.value, content)?;
    }
    let now_ns = plan.context.now_ns;
    plan.set_attr(&mut draft, &located, entry.value.inode, None, now_ns);
    plan.finish(errand, draft)
}

/// The first `size` bytes, `size` < what there are. Of extents the checksum of the whole is not known then (0);
/// each extent has its own, and readers verify that.
fn shorter(before: v1::Content, size: u64) -> v1::Content {
    if before.extents.is_empty() {
        let inline = before.inline.slice(..size as usize);
        return v1::Content {
            size,
            crc32c: crc32c(&inline),
            inline,
            extents: Vec::new(),
        };
    }
    let mut left = size;
    let mut extents = Vec::new();
    for mut extent in before.extents {
        if left == 0 {
            break;
        }
        extent.length = u64::from(extent.length).min(left) as u32;
        left -= u64::from(extent.length);
        extents.push(extent);
    }
    v1::Content {
        size,
        crc32c: 0,
        extents,
        ..v1::Content::default()
    }
}

/// The same and zeros up to `size`, > what there are: in the record where all of it fits, else as holes.
fn longer(
    errand: Errand<'_>,
    before: v1::Content,
    size: u64,
    inline_max: u64,
) -> Result<v1::Content, Refusal> {
    if before.extents.is_empty() && size <= inline_max {
        let mut inline = BytesMut::from(&before.inline[..]);
        inline.resize(size as usize, 0);
        return Ok(v1::Content {
            size,
            crc32c: crc32c(&inline),
            inline: inline.freeze(),
            extents: Vec::new(),
        });
    }
    if !before.inline.is_empty() {
        let why = "its bytes lie in the record, where so many zeros cannot follow";
        let advice = "Read the file, and put it as extents with if_lsn";
        return Err(errand.refuse(Code::State, why).advice(advice));
    }
    let added = size - before.size;
    let crc32c = match (before.size, before.crc32c) {
        (1.., 0) => 0,
        (_, known) => joined(known, zeros_crc32c(added), added),
    };
    Ok(v1::Content {
        size,
        crc32c,
        extents: with_hole(before.extents, added),
        ..v1::Content::default()
    })
}

/// Holes that follow one another are one, as far as its length can be told.
fn with_hole(mut extents: Vec<v1::ExtentRef>, added: u64) -> Vec<v1::ExtentRef> {
    let before = extents.pop_if(|last| last.extent.is_none());
    let mut left = added + before.map_or(0, |hole| u64::from(hole.length));
    while left > 0 {
        let length = left.min(HOLE_BYTES_MAX);
        extents.push(v1::ExtentRef {
            length: length as u32,
            ..v1::ExtentRef::default()
        });
        left -= length;
    }
    extents
}

fn joined(first: u32, second: u32, second_bytes: u64) -> u32 {
    crc_fast::checksum_combine(Crc32Iscsi, first.into(), second.into(), second_bytes) as u32
}

/// Of runs of 1, 2, 4, … zeros, those that add up to `bytes`.
fn zeros_crc32c(bytes: u64) -> u32 {
    let (mut sum, mut run) = (0, crc32c(&[0]));
    for bit in 0..=bytes.checked_ilog2().unwrap_or_default() {
        let run_bytes = 1 << bit;
        if bytes & run_bytes != 0 {
            sum = joined(sum, run, run_bytes);
        }
        run = joined(run, run, run_bytes);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_summed_without_being_looked_at() {
        for bytes in [0, 1, 2, 3, 64, 100, 70_001] {
            assert_eq!(
                zeros_crc32c(bytes),
                crc32c(&vec![0; bytes as usize]),
                "{bytes}"
            );
        }
    }

    /// Two holes of the longest kind fill up before a third is begun.
    #[test]
    fn a_hole_that_grows_stays_one() {
        let once = with_hole(Vec::new(), HOLE_BYTES_MAX + 7);
        let twice = with_hole(with_hole(Vec::new(), HOLE_BYTES_MAX), 7);
        let lengths: Vec<u64> = once.iter().map(|hole| hole.length.into()).collect();
        assert_eq!((lengths, once), (vec![HOLE_BYTES_MAX, 7], twice));
        assert_eq!(with_hole(with_hole(Vec::new(), 3), 4).len(), 1);
    }
}
