//! `Made`: an entry appears.
use super::{file_content, inode};
use crate::fold::Stage;
use crate::state::keys::{self, letter};
use crate::state::rows::Versioned;
use crate::state::values::{DirectoryValue, EntryValue, PlaceValue};
use crate::view::ViewError;
use dfs_wire::v1;

pub(crate) fn apply(stage: &mut Stage<'_>, made: &v1::Made) -> Result<(), ViewError> {
    let key = keys::entry(made.tree, made.parent, &made.name);
    // A planner makes only where it saw nothing, so its overlay need not look again.
    let replaced = match stage.is_overlay() {
        true => None,
        false => stage.row::<EntryValue>(Versioned::Namespace, &key)?,
    };
    if let Some(old) = &replaced {
        inode::unlink(stage, made.tree, &old.value)?;
    }
    let mut entry = EntryValue {
        inode: made.inode,
        kind: made.kind,
        attr: made.attr,
        content: None,
        link_target: made.link_target.clone(),
        ..EntryValue::default()
    };
    if let Some(content) = &made.content {
        file_content::set(stage, made.tree, &mut entry, content)?;
    }
    stage.put_row(Versioned::Namespace, &key, Some(&entry))?;
    if made.kind() == v1::Kind::Directory {
        make_directory(stage, made)?;
    }
    stage.count(made.inode, if replaced.is_some() { 0 } else { 1 })
}

fn make_directory(stage: &mut Stage<'_>, made: &v1::Made) -> Result<(), ViewError> {
    let mtime_ns = made.attr.map_or(0, |attr| attr.mtime_ns);
    let own = DirectoryValue {
        mtime_ns,
        children: 0,
    };
    stage.put_row(
        Versioned::Namespace,
        &keys::own(made.tree, made.inode),
        Some(&own),
    )?;
    let place = PlaceValue {
        parent: made.parent,
        name: made.name.clone(),
        detached: false,
    };
    let key = keys::control(letter::PLACE, &[made.tree, made.inode]);
    stage.put_row(Versioned::Skeleton, &key, Some(&place))
}
