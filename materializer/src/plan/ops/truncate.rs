//! A file gets shorter.
use super::{Plan, file, path_of};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use dfs_wire::frame::crc32c;
use dfs_wire::{Code, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Truncate) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "truncate",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    let entry = file(errand, &located)?;
    let before = plan.planning.content(path.tree, &entry.value)?;
    if op.size > before.size {
        let why = format!(
            "it has {} bytes: {} would make it longer",
            before.size, op.size
        );
        return Err(errand.refuse(Code::Invalid, why).into());
    }
    let mut draft = Draft::default();
    draft.done.inode = entry.value.inode;
    if op.size < before.size {
        plan.set_content(&mut draft, &located, &entry.value, shorter(before, op.size))?;
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
