//! What each request does to a state, or why not.
use crate::model::{Model, Who};
use crate::tree::{Names, Node, Tree, names};
use dfs_wire::limits::{
    FILE_BYTES_MAX, HOLE_BYTES_MAX, PATH_BYTES_MAX, XATTR_BYTES_MAX, XATTR_NAME_BYTES_MAX,
};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, settings, v1};
use std::collections::{BTreeMap, BTreeSet};

/// One request on its way: the state it changes, as which record, for whom.
struct Doing<'a> {
    model: &'a Model,
    tree: Tree,
    lsn: u64,
    who: Who,
}

pub(crate) fn apply(model: &Model, request: &v1::Mutate, lsn: u64, who: Who) -> Result<Tree, Code> {
    let mut doing = Doing {
        model,
        tree: model.now().clone(),
        lsn,
        who,
    };
    let op = request.op.as_ref().ok_or(Code::Invalid)?;
    if let Some(if_lsn) = request.if_lsn {
        doing.check_version(op, if_lsn)?;
    }
    match op {
        Op::MakeDirectory(op) => doing.make_directory(op)?,
        Op::Commit(op) => doing.commit(op)?,
        Op::MakeSymlink(op) => doing.make_symlink(op)?,
        Op::Remove(op) => doing.remove(op)?,
        Op::Rename(op) => doing.rename(op)?,
        Op::SetAttr(op) => doing.set_attr(op)?,
        Op::Append(op) => doing.append(op)?,
        Op::Truncate(op) => doing.truncate(op)?,
        Op::Copy(op) => doing.copy(op)?,
        Op::Link(op) => doing.link(op)?,
        Op::SetSettings(op) => doing.set_settings(op)?,
        Op::SetXattr(op) => doing.set_xattr(op)?,
        // The model knows no ACLs: nobody whom it judges asks for one.
        Op::SetAcl(_) => return Err(Code::Invalid),
    }
    Ok(doing.tree)
}

/// The entry that an operation's `if_lsn` is about; absent: the root.
pub fn judged(op: &Op) -> v1::Path {
    path(match op {
        Op::MakeDirectory(op) => &op.path,
        Op::Commit(op) => &op.path,
        Op::MakeSymlink(op) => &op.path,
        Op::Remove(op) => &op.path,
        Op::Rename(op) => &op.from,
        Op::SetAttr(op) => &op.path,
        Op::Append(op) => &op.path,
        Op::Truncate(op) => &op.path,
        Op::Copy(op) => &op.to,
        Op::Link(op) => &op.from,
        Op::SetSettings(_) => &None,
        Op::SetXattr(op) => &op.path,
        Op::SetAcl(op) => &op.path,
    })
}

fn path(path: &Option<v1::Path>) -> v1::Path {
    path.clone().unwrap_or_default()
}

impl Doing<'_> {
    /// Before all else but reading the past, which is done before anything is decided.
    fn check_version(&self, op: &Op, if_lsn: u64) -> Result<(), Code> {
        if let Op::Copy(op) = op
            && let Some(v1::view::View::AtLsn(lsn)) = op.from_view.and_then(|view| view.view)
        {
            self.model.stat(lsn, &path(&op.from))?;
        }
        if let Op::SetSettings(op) = op {
            let of = |change: &v1::SettingChanged| self.tree.settings.get(&change.setting);
            let last = op.changes.iter().filter_map(of).map(|(lsn, _)| *lsn).max();
            let unchanged = last.unwrap_or(0) <= if_lsn;
            return unchanged.then_some(()).ok_or(Code::Conflict);
        }
        let version = match self.tree.resolve(&judged(op)) {
            Ok(names) => self.tree.node(&names).map_or(0, |node| node.lsn),
            Err(Code::NotFound) => 0,
            Err(code) => return Err(code),
        };
        if version == if_lsn {
            Ok(())
        } else {
            Err(Code::Conflict)
        }
    }

    fn attr(&self, asked: Option<v1::Attr>, mode: u32) -> Result<v1::Attr, Code> {
        let Who { uid, gid, now_ns } = self.who;
        let attr = asked.unwrap_or(v1::Attr {
            mode,
            uid,
            gid,
            mtime_ns: now_ns,
        });
        if attr.mode <= 0o7777 {
            Ok(attr)
        } else {
            Err(Code::Invalid)
        }
    }

    /// Something came or went in the directory above.
    fn touch_above(&mut self, names: &[Vec<u8>]) {
        let (lsn, now_ns) = (self.lsn, self.who.now_ns);
        let above = names
            .split_last()
            .and_then(|(_, above)| self.tree.node_mut(above));
        if let Some(above) = above {
            above.attr.mtime_ns = above.attr.mtime_ns.max(now_ns);
            above.lsn = lsn;
        }
    }

    fn make(&mut self, names: Names, node: Node) {
        self.tree.put(names.clone(), node);
        self.touch_above(&names);
    }

    fn make_directory(&mut self, op: &v1::MakeDirectory) -> Result<(), Code> {
        let attr = self.attr(op.attr, 0o755)?;
        let names = names(&path(&op.path))?;
        for depth in 1..=names.len() {
            let is_last = depth == names.len();
            match self.tree.node(&names[..depth]).map(|node| node.kind) {
                Some(v1::Kind::Directory) if !is_last || op.exist_ok => {}
                Some(_) if is_last => return Err(Code::Exists),
                Some(_) => return Err(Code::WrongKind),
                None if !is_last && !op.parents => return Err(Code::NotFound),
                None => {
                    let mode = if is_last {
                        attr.mode
                    } else {
                        attr.mode | 0o300
                    };
                    let made = Node::directory(v1::Attr { mode, ..attr }, self.lsn);
                    self.make(names[..depth].to_vec(), made);
                }
            }
        }
        if names.is_empty() && !op.exist_ok {
            Err(Code::Exists)
        } else {
            Ok(())
        }
    }

    fn check_target(&self, mode: v1::CommitMode, names: &[Vec<u8>]) -> Result<(), Code> {
        let kind = self.tree.node(names).map(|node| node.kind);
        match (mode, kind) {
            (v1::CommitMode::Unspecified, _) => Err(Code::Invalid),
            (_, None) => Ok(()),
            (_, Some(v1::Kind::Directory)) => Err(Code::WrongKind),
            (v1::CommitMode::Create, Some(_)) => Err(Code::Exists),
            (_, Some(v1::Kind::File)) => Ok(()),
            (_, Some(_)) => Err(Code::WrongKind),
        }
    }

    fn commit(&mut self, op: &v1::Commit) -> Result<(), Code> {
        let names = self.tree.resolve(&path(&op.path))?;
        self.check_target(op.mode(), &names)?;
        let version = self.tree.node(&names).map_or(0, |node| node.lsn);
        if op.if_lsn.is_some_and(|if_lsn| if_lsn != version) {
            return Err(Code::Conflict);
        }
        self.put(names, op.attr, op.content.clone().unwrap_or_default())
    }

    fn put(
        &mut self,
        names: Names,
        asked: Option<v1::Attr>,
        content: v1::Content,
    ) -> Result<(), Code> {
        let mut attr = self.attr(asked, 0o644)?;
        let file = Node::file(attr, content, self.lsn);
        let Some(before) = self.tree.node(&names).cloned() else {
            self.make(names, file);
            return Ok(());
        };
        if asked.is_none() {
            attr = v1::Attr {
                mtime_ns: self.who.now_ns,
                ..before.attr
            };
        }
        let (link, links) = (before.link, before.links);
        let xattrs = before.xattrs.clone();
        let file = Node {
            attr,
            xattrs,
            link,
            links,
            ..file
        };
        self.tree.put(names, file.clone());
        self.tree.spread(&file);
        Ok(())
    }

    fn make_symlink(&mut self, op: &v1::MakeSymlink) -> Result<(), Code> {
        let target = op.target.to_vec();
        if target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains(&0) {
            return Err(Code::Invalid);
        }
        let names = self.tree.resolve(&path(&op.path))?;
        let attr = self.attr(op.attr, 0o777)?;
        match self.tree.node(&names).map(|node| node.kind) {
            Some(_) if !op.replace => return Err(Code::Exists),
            Some(v1::Kind::Directory) => return Err(Code::WrongKind),
            _ => {}
        }
        self.unlink(&names);
        let kind = v1::Kind::Symlink;
        let content = v1::Content::default();
        self.make(
            names,
            Node {
                kind,
                attr,
                content,
                link_target: target,
                xattrs: BTreeMap::new(),
                link: 0,
                links: 1,
                lsn: self.lsn,
            },
        );
        Ok(())
    }

    fn remove(&mut self, op: &v1::Remove) -> Result<(), Code> {
        let names = self.tree.resolve(&path(&op.path))?;
        if names.is_empty() {
            return Err(Code::Invalid);
        }
        self.tree.node(&names).ok_or(Code::NotFound)?;
        if !op.recursive && !self.tree.children(&names).is_empty() {
            return Err(Code::NotEmpty);
        }
        self.unlink(&names);
        self.touch_above(&names);
        Ok(())
    }

    /// What stands there goes. Its other names know; what lay below a directory keeps its count.
    fn unlink(&mut self, names: &[Vec<u8>]) {
        let taken = self.tree.take(names).into_iter();
        if let Some((_, node)) = taken.into_iter().find(|(below, _)| below.is_empty()) {
            self.tree.spread(&Node {
                links: node.links - 1,
                lsn: self.lsn,
                ..node
            });
        }
    }

    fn link(&mut self, op: &v1::Link) -> Result<(), Code> {
        let from = self.tree.resolve(&path(&op.from))?;
        let node = self.tree.node(&from).ok_or(Code::NotFound)?;
        if node.kind == v1::Kind::Directory {
            return Err(Code::WrongKind);
        }
        let mut linked = node.clone();
        linked.links += 1;
        linked.lsn = self.lsn;
        if linked.link == 0 {
            linked.link = self.lsn;
        }
        let to = self.tree.resolve(&path(&op.to))?;
        if self.tree.node(&to).is_some() {
            return Err(Code::Exists);
        }
        self.tree.put(from, linked.clone());
        self.tree.spread(&linked);
        self.make(to, linked);
        Ok(())
    }

    fn rename(&mut self, op: &v1::Rename) -> Result<(), Code> {
        let from = self.tree.resolve(&path(&op.from))?;
        if from.is_empty() {
            return Err(Code::Invalid);
        }
        let kind = self.tree.node(&from).ok_or(Code::NotFound)?.kind;
        let to = self.tree.resolve(&path(&op.to))?;
        let link = |names| self.tree.node(names).map_or(0, |node| node.link);
        if from == to || (link(&from) > 0 && link(&from) == link(&to)) {
            return if op.no_replace {
                Err(Code::Exists)
            } else {
                Ok(())
            };
        }
        if kind == v1::Kind::Directory && to.len() > from.len() && to.starts_with(&from) {
            return Err(Code::WrongKind);
        }
        self.check_replaced(op.no_replace, kind, &to)?;
        let moved = self.tree.take(&from);
        self.unlink(&to);
        for (below, mut node) in moved {
            if below.is_empty() {
                node.lsn = self.lsn;
            }
            self.tree.put([&to[..], &below].concat(), node);
        }
        self.touch_above(&from);
        self.touch_above(&to);
        Ok(())
    }

    fn check_replaced(&self, no_replace: bool, kind: v1::Kind, to: &[Vec<u8>]) -> Result<(), Code> {
        let Some(replaced) = self.tree.node(to) else {
            return Ok(());
        };
        let directory = v1::Kind::Directory;
        if no_replace || to.is_empty() {
            return Err(Code::Exists);
        }
        if (kind == directory) != (replaced.kind == directory) {
            return Err(Code::WrongKind);
        }
        if self.tree.children(to).is_empty() {
            Ok(())
        } else {
            Err(Code::NotEmpty)
        }
    }

    fn set_attr(&mut self, op: &v1::SetAttr) -> Result<(), Code> {
        if op.mode.is_some_and(|mode| mode > 0o7777) {
            return Err(Code::Invalid);
        }
        let names = self.tree.resolve(&path(&op.path))?;
        let lsn = self.lsn;
        let node = self.tree.node_mut(&names).ok_or(Code::NotFound)?;
        let attr = &mut node.attr;
        attr.mode = op.mode.unwrap_or(attr.mode);
        attr.uid = op.uid.unwrap_or(attr.uid);
        attr.gid = op.gid.unwrap_or(attr.gid);
        attr.mtime_ns = op.mtime_ns.unwrap_or(attr.mtime_ns);
        node.lsn = lsn;
        let node = node.clone();
        self.tree.spread(&node);
        Ok(())
    }

    fn set_xattr(&mut self, op: &v1::SetXattr) -> Result<(), Code> {
        let named: Vec<&[u8]> = op.set.iter().map(|xattr| &xattr.name[..]).collect();
        let named = [named, op.remove.iter().map(|name| &name[..]).collect()].concat();
        let is_good = |name: &&[u8]| {
            let rest = name.strip_prefix(b"user.").unwrap_or_default();
            !rest.is_empty() && !rest.contains(&0) && name.len() <= XATTR_NAME_BYTES_MAX
        };
        let distinct: BTreeSet<&[u8]> = named.iter().copied().collect();
        if !named.iter().all(is_good) || distinct.len() < named.len() {
            return Err(Code::Invalid);
        }
        let names = self.tree.resolve(&path(&op.path))?;
        let lsn = self.lsn;
        let node = self.tree.node_mut(&names).ok_or(Code::NotFound)?;
        for name in &op.remove {
            node.xattrs.remove(&name[..]).ok_or(Code::NotFound)?;
        }
        let set = op.set.iter();
        node.xattrs
            .extend(set.map(|xattr| (xattr.name.to_vec(), xattr.value.to_vec())));
        let bytes = node
            .xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len());
        if bytes.sum::<usize>() > XATTR_BYTES_MAX {
            return Err(Code::Invalid);
        }
        node.lsn = lsn;
        let node = node.clone();
        self.tree.spread(&node);
        Ok(())
    }

    /// The file there, to be changed now.
    fn file(&mut self, path: &v1::Path) -> Result<&mut Node, Code> {
        let names = self.tree.resolve(path)?;
        let node = self.tree.node_mut(&names).ok_or(Code::NotFound)?;
        if node.kind == v1::Kind::File {
            Ok(node)
        } else {
            Err(Code::WrongKind)
        }
    }

    fn changed(&mut self, path: &v1::Path, content: v1::Content) -> Result<(), Code> {
        let (lsn, now_ns) = (self.lsn, self.who.now_ns);
        let node = self.file(path)?;
        let attr = v1::Attr {
            mtime_ns: now_ns,
            ..node.attr
        };
        node.content = v1::Content {
            crc32c: 0,
            ..content
        };
        (node.attr, node.lsn) = (attr, lsn);
        let node = node.clone();
        self.tree.spread(&node);
        Ok(())
    }

    fn append(&mut self, op: &v1::Append) -> Result<(), Code> {
        let path = path(&op.path);
        let before = self.file(&path)?.content.clone();
        if op.if_size.is_some_and(|if_size| if_size != before.size) {
            return Err(Code::Conflict);
        }
        let given = op.content.clone().unwrap_or_default();
        if before.size > 0
            && given.size > 0
            && before.extents.is_empty() != given.extents.is_empty()
        {
            return Err(Code::State);
        }
        let joined = v1::Content {
            size: before.size + given.size,
            crc32c: 0,
            inline: [&before.inline[..], &given.inline].concat().into(),
            extents: [before.extents, given.extents].concat(),
        };
        self.changed(&path, joined)
    }

    fn truncate(&mut self, op: &v1::Truncate) -> Result<(), Code> {
        let path = path(&op.path);
        let mut content = self.file(&path)?.content.clone();
        if op.size > FILE_BYTES_MAX {
            return Err(Code::Invalid);
        }
        if op.size > content.size {
            return self.changed(&path, longer(content, op.size));
        }
        content.inline.truncate(op.size as usize);
        let mut left = op.size;
        for extent in &mut content.extents {
            extent.length = u64::from(extent.length).min(left) as u32;
            left -= u64::from(extent.length);
        }
        content.extents.retain(|extent| extent.length > 0);
        content.size = op.size;
        self.changed(&path, content)
    }

    /// What they ask for, the model does not know: limits are not its matter.
    fn set_settings(&mut self, op: &v1::SetSettings) -> Result<(), Code> {
        for (n, change) in op.changes.iter().enumerate() {
            let setting = settings::by_number(change.setting).ok_or(Code::Invalid)?;
            let mut before = op.changes.iter().take(n);
            let named_before = before.any(|other| other.setting == change.setting);
            let allowed = change
                .value
                .is_none_or(|value| setting.check(value).is_ok());
            if named_before || !allowed {
                return Err(Code::Invalid);
            }
            let changed = (self.lsn, change.value);
            self.tree.settings.insert(change.setting, changed);
        }
        if op.changes.is_empty() {
            return Err(Code::Invalid);
        }
        Ok(())
    }

    fn copy(&mut self, op: &v1::Copy) -> Result<(), Code> {
        let from = match op.from_view.and_then(|view| view.view) {
            Some(v1::view::View::AtLsn(lsn)) => self.model.stat(lsn, &path(&op.from))?,
            _ => self.file(&path(&op.from))?.clone(),
        };
        if from.kind != v1::Kind::File {
            return Err(Code::WrongKind);
        }
        let names = self.tree.resolve(&path(&op.to))?;
        self.check_target(op.mode(), &names)?;
        let attr = v1::Attr {
            mtime_ns: self.who.now_ns,
            ..from.attr
        };
        self.put(names.clone(), Some(attr), from.content)?;
        if let Some(node) = self.tree.node_mut(&names) {
            node.xattrs = from.xattrs;
            let node = node.clone();
            self.tree.spread(&node);
        }
        Ok(())
    }
}

/// Zeros at the end: in the record, or a hole behind extents. (How much a record takes, the model does not know.)
fn longer(mut content: v1::Content, size: u64) -> v1::Content {
    let mut hole = size - content.size;
    content.size = size;
    if content.extents.is_empty() {
        let mut inline = content.inline.to_vec();
        inline.resize(size as usize, 0);
        content.inline = inline.into();
        return content;
    }
    if let Some(last) = content.extents.pop_if(|last| last.extent.is_none()) {
        hole += u64::from(last.length);
    }
    while hole > 0 {
        let length = hole.min(HOLE_BYTES_MAX);
        content.extents.push(v1::ExtentRef {
            length: length as u32,
            ..v1::ExtentRef::default()
        });
        hole -= length;
    }
    content
}
