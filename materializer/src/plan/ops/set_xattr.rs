//! Extended attributes of an inode: `user.*`, within what its row holds.
use super::{Plan, path_of};
use crate::fold::kinds::xattrs_after;
use crate::plan::draft::Draft;
use crate::plan::{Planned, Unplanned};
use crate::state::walk::{self, Errand};
use dfs_wire::limits::{XATTR_BYTES_MAX, XATTR_NAME_BYTES_MAX};
use dfs_wire::v1::mutation::Kind;
use dfs_wire::{Code, Refusal, v1};

/// The only name space there is: what others mean, nobody here would keep.
const NAMES_BEGIN: &[u8] = b"user.";

pub(crate) fn plan(plan: &mut Plan<'_>, op: &v1::SetXattr) -> Result<Planned, Unplanned> {
    let path = path_of(&op.path);
    let errand = Errand {
        verb: "set attributes of",
        path: &path,
    };
    let named = op.set.iter().map(|xattr| &xattr.name).chain(&op.remove);
    for (n, name) in named.clone().enumerate() {
        check_name(errand, name)?;
        if named.clone().take(n).any(|other| other == name) {
            let why = format!("{} is named twice", shown(name));
            return Err(errand.refuse(Code::Invalid, why).into());
        }
    }
    let located = walk::locate(&plan.planning, errand)?;
    let Some(entry) = &located.entry else {
        return Err(errand.not_found().into());
    };
    let entry = &entry.value;
    let is_there = |name: &[u8]| entry.xattrs.iter().any(|xattr| xattr.name == name);
    if let Some(absent) = op.remove.iter().find(|name| !is_there(name)) {
        let why = format!("it has no attribute {}", shown(absent));
        return Err(errand.refuse(Code::NotFound, why).into());
    }
    let set = v1::XattrSet {
        tree: located.tree,
        parent: located.parent,
        name: located.name.clone(),
        inode: entry.inode,
        set: op.set.clone(),
        removed: op.remove.clone(),
    };
    check_room(errand, &xattrs_after(entry.xattrs.clone(), &set))?;
    let mut draft = Draft::default();
    draft.done.inode = entry.inode;
    draft.push(Kind::XattrSet(set));
    plan.finish(errand, draft)
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn check_name(errand: Errand<'_>, name: &[u8]) -> Result<(), Refusal> {
    let why = match name.strip_prefix(NAMES_BEGIN) {
        None => "names of attributes begin with `user.`".to_owned(),
        Some([]) => "nothing follows `user.`".to_owned(),
        Some(rest) if rest.contains(&0) => "its name holds a zero byte".to_owned(),
        Some(_) if name.len() > XATTR_NAME_BYTES_MAX => {
            let bytes = name.len();
            format!("its name has {bytes} bytes, at most {XATTR_NAME_BYTES_MAX} are taken")
        }
        Some(_) => return Ok(()),
    };
    Err(errand.refuse(Code::Invalid, format!("attribute {}: {why}", shown(name))))
}

fn check_room(errand: Errand<'_>, after: &[v1::Xattr]) -> Result<(), Refusal> {
    let bytes = after
        .iter()
        .map(|xattr| xattr.name.len() + xattr.value.len());
    let bytes: usize = bytes.sum();
    if bytes <= XATTR_BYTES_MAX {
        return Ok(());
    }
    let why = format!(
        "names and values of its attributes would have {bytes} bytes, at most {XATTR_BYTES_MAX} are taken"
    );
    Err(errand.refuse(Code::Invalid, why))
}
