//! Content that a client gives: is it whole, and under which guards may it be committed (FOLD-S4).
use super::Plan;
use crate::plan::Unplanned;
use crate::plan::draft::Draft;
use crate::state::walk::Errand;
use dfs_wire::frame::crc32c;
use dfs_wire::limits::{EXTENT_BYTES_MAX, INLINE_BYTES_DEFAULT, INLINE_BYTES_MAX};
use dfs_wire::{Code, Refusal, v1};

/// Contents up to this many bytes ride in the records that a plan makes of them. What a client sends inline
/// was decided under the settings it knew, and is taken up to the limit of all: a setting that was made less
/// meanwhile refuses nothing that is on its way.
pub(crate) fn inline_bytes_max(settings: &v1::Settings) -> u64 {
    let asked = match settings.inline_bytes_max {
        0 => INLINE_BYTES_DEFAULT as u64,
        asked => u64::from(asked),
    };
    asked.min(INLINE_BYTES_MAX as u64)
}

/// Checks content and adds its guards: what it names has been stored, but nothing holds it yet.
pub(crate) fn take(
    plan: &Plan<'_>,
    errand: Errand<'_>,
    content: &v1::Content,
    draft: &mut Draft,
) -> Result<(), Unplanned> {
    if content.extents.is_empty() {
        return Ok(check_inline(errand, content)?);
    }
    let sum: u64 = content
        .extents
        .iter()
        .map(|extent| u64::from(extent.length))
        .sum();
    if !content.inline.is_empty() || sum != content.size {
        let why = format!("its extents hold {sum} bytes, its size is {}", content.size);
        return Err(errand.refuse(Code::Invalid, why).into());
    }
    for extent in &content.extents {
        let id = check_extent(errand, extent)?;
        draft.sessions.insert(id.session);
        draft.groups.insert((extent.group, extent.generation));
    }
    check_guards(plan, errand, draft)
}

fn check_inline(errand: Errand<'_>, content: &v1::Content) -> Result<(), Refusal> {
    let max = INLINE_BYTES_MAX as u64;
    if content.inline.len() as u64 != content.size {
        let why = format!(
            "{} bytes came, its size is {}",
            content.inline.len(),
            content.size
        );
        return Err(errand.refuse(Code::Invalid, why));
    }
    if content.size > max {
        let why = format!("{} bytes ride in a record, at most {max} may", content.size);
        return Err(errand
            .refuse(Code::Invalid, why)
            .advice("Store the bytes as extents first"));
    }
    if crc32c(&content.inline) != content.crc32c {
        let why = "its bytes do not match its checksum: they were damaged on the way";
        return Err(errand
            .refuse(Code::Invalid, why)
            .advice("Send it again from the source"));
    }
    Ok(())
}

fn check_extent(errand: Errand<'_>, extent: &v1::ExtentRef) -> Result<v1::ExtentId, Refusal> {
    let end = u64::from(extent.skip) + u64::from(extent.length);
    let stored = u64::from(extent.stored_length).min(EXTENT_BYTES_MAX as u64);
    match extent.extent {
        Some(id) if extent.length > 0 && extent.group > 0 && end <= stored => Ok(id),
        _ => Err(errand.refuse(Code::Invalid, "one of its extents is not well formed")),
    }
}

/// What would only become a void frame is refused at once.
fn check_guards(plan: &Plan<'_>, errand: Errand<'_>, draft: &Draft) -> Result<(), Unplanned> {
    for session in &draft.sessions {
        if !plan.planning.session_is_open(*session)? {
            let why = format!("session {session}, which stored its extents, is gone");
            return Err(errand.refuse(Code::SessionGone, why).into());
        }
    }
    for (group, generation) in &draft.groups {
        let found = plan.planning.group(*group)?;
        if found.is_none_or(|found| found.generation != *generation) {
            let why = format!("group {group} is not at generation {generation}");
            let refusal = errand.refuse(Code::Conflict, why);
            return Err(refusal
                .advice("Ask for a placement and store the extents again")
                .into());
        }
    }
    Ok(())
}
