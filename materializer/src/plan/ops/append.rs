//! Bytes are added at the end of a file.
use super::{Plan, content, file, path_of, place};
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use bytes::BytesMut;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use dfs_wire::frame::crc32c;
use dfs_wire::{Code, Refusal, v1};

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::Append) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "append to",
        path: &path,
    };
    let located = walk::locate(&plan.planning, errand)?;
    let entry = file(errand, &located)?;
    let before = plan.planning.content(path.tree, &entry.value)?;
    if let Some(if_size) = op.if_size
        && if_size != before.size
    {
        let why = format!("it has {} bytes, not {if_size}", before.size);
        return Err(errand.refuse(Code::Conflict, why).into());
    }
    let given = op.content.clone().unwrap_or_default();
    let mut draft = Draft::default();
    content::take(plan, errand, &given, &mut draft)?;
    let joined = join(plan, errand, before, given)?;
    place::check_size(plan, errand, joined.size)?;
    plan.set_content(&mut draft, &located, &entry.value, joined)?;
    let now_ns = plan.context.now_ns;
    plan.set_attr(&mut draft, &located, entry.value.inode, None, now_ns);
    plan.finish(errand, draft)
}

/// Both inline or both in extents; an empty one goes with either.
fn join(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    before: v1::Content,
    given: v1::Content,
) -> Result<v1::Content, Refusal> {
    if given.size == 0 {
        return Ok(before);
    }
    if before.size == 0 {
        return Ok(given);
    }
    let size = before.size + given.size;
    let inline_max = content::inline_bytes_max(plan.context.settings);
    match (before.extents.is_empty(), given.extents.is_empty()) {
        (true, true) if size <= inline_max => {
            let mut inline = BytesMut::with_capacity(size as usize);
            inline.extend_from_slice(&before.inline);
            inline.extend_from_slice(&given.inline);
            // Computed anew: of bytes that lie here it is never "not known".
            let crc32c = crc32c(&inline);
            Ok(v1::Content {
                size,
                crc32c,
                inline: inline.freeze(),
                extents: Vec::new(),
            })
        }
        (false, false) => {
            let crc32c = joined_crc32c(&before, &given);
            let mut extents = before.extents;
            extents.extend(given.extents);
            Ok(v1::Content {
                size,
                crc32c,
                extents,
                ..v1::Content::default()
            })
        }
        _ => {
            let why = "its bytes and these cannot lie together, in the entry or in extents";
            let advice = "Read the file, add the bytes, and put the whole with if_lsn";
            Err(errand.refuse(Code::State, why).advice(advice))
        }
    }
}

/// 0 stands for "not known", and stays so.
fn joined_crc32c(before: &v1::Content, given: &v1::Content) -> u32 {
    if before.crc32c == 0 || given.crc32c == 0 {
        return 0;
    }
    let (before, added) = (u64::from(before.crc32c), u64::from(given.crc32c));
    crc_fast::checksum_combine(Crc32Iscsi, before, added, given.size) as u32
}
