//! From a path to an entry: names, kinds, and whether all of it hangs on the root (FOLD-P0b).
use super::ROOT_INODE;
use super::rows::Row;
use super::values::{EntryValue, PlaceValue};
use bytes::Bytes;
use dfs_wire::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use dfs_wire::{Code, Refusal, v1};

/// Directories above one another, at most: a path has no more names than bytes.
const DEPTH_MAX: usize = PATH_BYTES_MAX;

/// A state in which names are looked up: at an LSN, or as planning sees it.
pub(crate) trait Names {
    type Stop: From<Refusal>;
    fn entry(
        &self,
        tree: u64,
        parent: u64,
        name: &[u8],
    ) -> Result<Option<Row<EntryValue>>, Self::Stop>;
    fn place(&self, tree: u64, inode: u64) -> Result<Option<PlaceValue>, Self::Stop>;
}

/// What is done to which path, for refusals.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) verb: &'a str,
    pub(crate) path: &'a v1::Path,
}

/// Where a path ends: a place for an entry, and the entry if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) tree: u64,
    pub(crate) parent: u64,
    /// Empty: the root.
    pub(crate) name: Bytes,
    pub(crate) entry: Option<Row<EntryValue>>,
    /// The entry of its directory, where the walk came by it.
    pub(crate) above: Option<Box<EntryValue>>,
}

impl Located {
    pub(crate) fn is_root(&self) -> bool {
        self.name.is_empty()
    }
}

impl Errand<'_> {
    pub(crate) fn refuse(&self, code: Code, why: impl Into<String>) -> Refusal {
        Refusal::new(code, format!("{} {}", self.verb, show(self.path)), why)
    }

    pub(crate) fn not_found(&self) -> Refusal {
        self.refuse(Code::NotFound, "there is no such entry")
    }
}

/// A path for people: bytes that are not text are replaced.
pub(crate) fn show(path: &v1::Path) -> String {
    let text = String::from_utf8_lossy(&path.path);
    let text = text.trim_start_matches('/');
    match path.base_inode {
        0 | ROOT_INODE => format!("/{text}"),
        inode => format!("inode {inode}:/{text}"),
    }
}

fn name_shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The names of a path, each checked. An empty name (two slashes, a slash at an end) is none.
pub(crate) fn names(errand: Errand<'_>) -> Result<Vec<Bytes>, Refusal> {
    let path = &errand.path.path;
    if path.len() > PATH_BYTES_MAX {
        let why = format!(
            "the path has {} bytes, at most {PATH_BYTES_MAX} are taken",
            path.len()
        );
        let short = v1::Path {
            path: path.slice(..64),
            ..errand.path.clone()
        };
        let what = format!("{} {}…", errand.verb, show(&short));
        return Err(Refusal::new(Code::Invalid, what, why));
    }
    let mut names = Vec::new();
    for name in path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        let wrong = match name {
            b"." | b".." => Some("`.` and `..` are not resolved here".to_owned()),
            name if name.len() > NAME_BYTES_MAX => Some(format!(
                "a name has {} bytes, at most {NAME_BYTES_MAX} are taken",
                name.len()
            )),
            name if name.contains(&0) => Some("a name holds a zero byte".to_owned()),
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(errand.refuse(Code::Invalid, why));
        }
        names.push(path.slice_ref(name));
    }
    Ok(names)
}

/// The directory that a path starts at, attached all the way up.
pub(crate) fn base<N: Names>(state: &N, errand: Errand<'_>) -> Result<u64, N::Stop> {
    let path = errand.path;
    if path.tree != 0 {
        return Err(errand
            .refuse(Code::NotFound, format!("there is no tree {}", path.tree))
            .into());
    }
    if matches!(path.base_inode, 0 | ROOT_INODE) {
        return Ok(ROOT_INODE);
    }
    if above(state, path.tree, path.base_inode)?.is_none() {
        let why = format!("there is no directory {}", path.base_inode);
        return Err(errand.refuse(Code::NotFound, why).into());
    }
    Ok(path.base_inode)
}

/// The directories from this one up to the root, both included; `None` if it does not hang on the root.
pub(crate) fn above<N: Names>(
    state: &N,
    tree: u64,
    inode: u64,
) -> Result<Option<Vec<u64>>, N::Stop> {
    let mut above = vec![inode];
    let mut at = inode;
    while at != ROOT_INODE {
        match state.place(tree, at)? {
            Some(place) if !place.detached && above.len() <= DEPTH_MAX => at = place.parent,
            _ => return Ok(None),
        }
        above.push(at);
    }
    Ok(Some(above))
}

/// Resolves a path. All but its last name must be directories; symlinks are not followed.
pub(crate) fn locate<N: Names>(state: &N, errand: Errand<'_>) -> Result<Located, N::Stop> {
    let mut names = names(errand)?;
    let base = base(state, errand)?;
    let Some(last) = names.pop() else {
        return itself(state, errand, base);
    };
    let (parent, above) = descend(state, errand, base, &names)?;
    let entry = state.entry(errand.path.tree, parent, &last)?;
    Ok(Located {
        tree: errand.path.tree,
        parent,
        name: last,
        entry,
        above,
    })
}

/// The entry of a directory, by its inode.
pub(crate) fn entry_of<N: Names>(
    state: &N,
    tree: u64,
    inode: u64,
) -> Result<Option<Row<EntryValue>>, N::Stop> {
    if inode == ROOT_INODE {
        return state.entry(tree, 0, &[]);
    }
    match state.place(tree, inode)? {
        Some(PlaceValue { parent, name, .. }) => state.entry(tree, parent, &name),
        None => Ok(None),
    }
}

/// The entry of the directory that the path starts at.
fn itself<N: Names>(state: &N, errand: Errand<'_>, inode: u64) -> Result<Located, N::Stop> {
    let tree = errand.path.tree;
    let place = if inode == ROOT_INODE {
        None
    } else {
        state.place(tree, inode)?
    };
    let PlaceValue { parent, name, .. } = place.unwrap_or_default();
    let entry = state.entry(tree, parent, &name)?;
    Ok(Located {
        tree,
        parent,
        name,
        entry,
        above: None,
    })
}

/// The directory at the end, and its entry if there was one on the way.
pub(crate) fn descend<N: Names>(
    state: &N,
    errand: Errand<'_>,
    base: u64,
    names: &[Bytes],
) -> Result<(u64, Option<Box<EntryValue>>), N::Stop> {
    let (mut at, mut last) = (base, None);
    for name in names {
        let entry = state.entry(errand.path.tree, at, name)?;
        let Some(entry) = entry else {
            let why = format!("there is no directory `{}` on the way", name_shown(name));
            return Err(errand.refuse(Code::NotFound, why).into());
        };
        at = directory(errand, name, &entry.value)?;
        last = Some(entry.value);
    }
    Ok((at, last.map(Box::new)))
}

/// The inode of an entry on the way, which must be a directory.
pub(crate) fn directory(
    errand: Errand<'_>,
    name: &[u8],
    entry: &EntryValue,
) -> Result<u64, Refusal> {
    let kind = match entry.kind() {
        v1::Kind::Directory => return Ok(entry.inode),
        v1::Kind::Symlink => "a symlink, and symlinks on the way are not followed",
        _ => "a file",
    };
    Err(errand.refuse(
        Code::WrongKind,
        format!("`{}` on the way is {kind}", name_shown(name)),
    ))
}

/// The store failed; whoever folds notices it too and stops.
pub(crate) fn store_failed(error: crate::view::ViewError) -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the materializer's store",
        error.to_string(),
    )
}
