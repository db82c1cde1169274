//! Random requests, planned with frames in flight and folded, judged by the reference file system at every LSN.
use crate::alone::{Alone, inline, op, path, refold};
use crate::plan::{CopySource, Unplanned};
use crate::read::{self, At};
use crate::view::{LsmView, MemoryView, View};
use dfs_model::{Model, Node, Who, judged};
use dfs_wire::frame::crc32c;
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Code, v1};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::Arc;

/// A step of a run.
#[derive(Clone, Debug)]
enum Step {
    /// With `if_lsn`: of the version that stands, or of another.
    Ask(Asked, Option<bool>),
    /// So many of the oldest records in flight are cut and folded.
    Land(usize),
}

/// A request, before extents and LSNs are filled in.
#[derive(Clone, Debug)]
enum Asked {
    MakeDirectory {
        at: String,
        parents: bool,
        exist_ok: bool,
    },
    Commit {
        at: String,
        bytes: Bytes,
        create: bool,
        attr: bool,
        if_version: Option<bool>,
    },
    Symlink {
        at: String,
        replace: bool,
    },
    Remove {
        at: String,
        recursive: bool,
    },
    Rename {
        from: String,
        to: String,
        no_replace: bool,
    },
    Link {
        from: String,
        to: String,
    },
    SetAttr {
        at: String,
        mode: Option<u32>,
        mtime_ns: Option<i64>,
    },
    Append {
        at: String,
        bytes: Bytes,
    },
    Truncate {
        at: String,
        size: u64,
    },
    Copy {
        from: String,
        to: String,
        back: Option<u64>,
        create: bool,
    },
}

/// What a file gets: bytes in the record, or this many extents.
#[derive(Clone, Debug)]
enum Bytes {
    Inline(u8),
    Extents(usize),
}

/// Few names, so that operations meet; shallow, so that walks are short.
fn paths() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    vec(name, 0..4).prop_map(|names| names.join("/"))
}

fn contents() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => (0u8..40).prop_map(Bytes::Inline),
        3 => (1usize..4).prop_map(Bytes::Extents),
        1 => (60usize..140).prop_map(Bytes::Extents),
    ]
}

fn requests() -> impl Strategy<Value = Asked> {
    let flag = any::<bool>;
    prop_oneof![
        4 => (paths(), flag(), flag())
            .prop_map(|(at, parents, exist_ok)| Asked::MakeDirectory { at, parents, exist_ok }),
        5 => (paths(), contents(), flag(), flag(), proptest::option::weighted(0.2, flag()))
            .prop_map(|(at, bytes, create, attr, if_version)| {
                Asked::Commit { at, bytes, create, attr, if_version }
            }),
        1 => (paths(), flag()).prop_map(|(at, replace)| Asked::Symlink { at, replace }),
        2 => (paths(), flag()).prop_map(|(at, recursive)| Asked::Remove { at, recursive }),
        4 => (paths(), paths(), proptest::bool::weighted(0.2))
            .prop_map(|(from, to, no_replace)| Asked::Rename { from, to, no_replace }),
        3 => (paths(), paths()).prop_map(|(from, to)| Asked::Link { from, to }),
        2 => (paths(), proptest::option::of(0u32..0o10001), proptest::option::of(-5i64..9_000_000_000))
            .prop_map(|(at, mode, mtime_ns)| Asked::SetAttr { at, mode, mtime_ns }),
        3 => (paths(), contents()).prop_map(|(at, bytes)| Asked::Append { at, bytes }),
        2 => (paths(), 0u64..60).prop_map(|(at, size)| Asked::Truncate { at, size }),
        2 => (paths(), paths(), proptest::option::of(0u64..20), flag())
            .prop_map(|(from, to, back, create)| Asked::Copy { from, to, back, create }),
    ]
}

/// Files that are linked, changed and removed by three names: most requests meet one that was linked.
fn requests_of_links() -> impl Strategy<Value = Asked> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("d/c")].prop_map(str::to_owned);
    let flag = any::<bool>;
    prop_oneof![
        1 => flag().prop_map(|parents| Asked::MakeDirectory {
            at: "d".to_owned(),
            parents,
            exist_ok: true,
        }),
        2 => (name(), contents(), flag()).prop_map(|(at, bytes, attr)| {
            Asked::Commit { at, bytes, create: false, attr, if_version: None }
        }),
        6 => (name(), name()).prop_map(|(from, to)| Asked::Link { from, to }),
        1 => (prop_oneof![3 => name(), 1 => Just("d".to_owned())], flag())
            .prop_map(|(at, recursive)| Asked::Remove { at, recursive }),
        2 => (name(), name(), Just(false))
            .prop_map(|(from, to, no_replace)| Asked::Rename { from, to, no_replace }),
        1 => name().prop_map(|at| Asked::SetAttr { at, mode: Some(0o640), mtime_ns: None }),
        2 => (name(), contents()).prop_map(|(at, bytes)| Asked::Append { at, bytes }),
        2 => (name(), 0u64..60).prop_map(|(at, size)| Asked::Truncate { at, size }),
        1 => name().prop_map(|at| Asked::Symlink { at, replace: true }),
        1 => (name(), name(), proptest::option::of(0u64..20), Just(false))
            .prop_map(|(from, to, back, create)| Asked::Copy { from, to, back, create }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    steps_of(requests())
}

fn steps_of(requests: impl Strategy<Value = Asked>) -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![
            4 => (requests, proptest::option::weighted(0.2, proptest::bool::weighted(0.8)))
                .prop_map(|(asked, if_version)| Step::Ask(asked, if_version)),
            1 => (1usize..6).prop_map(Step::Land),
        ],
        1..60,
    )
}

fn mode(create: bool) -> i32 {
    match create {
        true => v1::CommitMode::Create as i32,
        false => v1::CommitMode::Replace as i32,
    }
}

struct Run {
    alone: Alone,
    model: Model,
    born: u64,
    extents: u64,
}

impl Run {
    fn new() -> Run {
        let alone = Alone::new();
        let root = alone.stat("").unwrap();
        let born = alone.snapshot().stamp.lsn;
        let model = Model::new(born, root.attr.unwrap());
        Run {
            alone,
            model,
            born,
            extents: 0,
        }
    }

    fn content(&mut self, bytes: &Bytes) -> v1::Content {
        match bytes {
            Bytes::Inline(length) => inline(&vec![*length; usize::from(*length)]),
            Bytes::Extents(count) => {
                let mut extents = Vec::new();
                for _ in 0..*count {
                    self.extents += 1;
                    extents.push(
                        self.alone
                            .extent(self.extents, 1 + (self.extents % 7) as u32),
                    );
                }
                let size = extents.iter().map(|extent| u64::from(extent.length)).sum();
                v1::Content {
                    size,
                    crc32c: 99,
                    extents,
                    ..v1::Content::default()
                }
            }
        }
    }

    fn request(&mut self, asked: &Asked) -> Op {
        match asked.clone() {
            Asked::MakeDirectory {
                at,
                parents,
                exist_ok,
            } => Op::MakeDirectory(v1::MakeDirectory {
                path: path(&at),
                attr: None,
                parents,
                exist_ok,
            }),
            Asked::Symlink { at, replace } => Op::MakeSymlink(v1::MakeSymlink {
                path: path(&at),
                target: b"x/y".to_vec().into(),
                attr: None,
                replace,
            }),
            Asked::Remove { at, recursive } => Op::Remove(v1::Remove {
                path: path(&at),
                recursive,
            }),
            Asked::Rename {
                from,
                to,
                no_replace,
            } => Op::Rename(v1::Rename {
                from: path(&from),
                to: path(&to),
                no_replace,
            }),
            Asked::Link { from, to } => Op::Link(v1::Link {
                from: path(&from),
                to: path(&to),
            }),
            Asked::SetAttr { at, mode, mtime_ns } => Op::SetAttr(v1::SetAttr {
                path: path(&at),
                mode,
                mtime_ns,
                uid: None,
                gid: None,
            }),
            bytes => self.request_of_bytes(bytes),
        }
    }

    fn request_of_bytes(&mut self, asked: Asked) -> Op {
        match asked {
            Asked::Append { at, bytes } => Op::Append(v1::Append {
                path: path(&at),
                content: Some(self.content(&bytes)),
                if_size: None,
            }),
            Asked::Truncate { at, size } => Op::Truncate(v1::Truncate {
                path: path(&at),
                size,
            }),
            Asked::Copy {
                from,
                to,
                back,
                create,
            } => {
                let folded = self.alone.snapshot().stamp.lsn;
                let lsn = back.map(|back| folded.saturating_sub(back).max(3));
                let view = lsn.map(v1::view::View::AtLsn);
                Op::Copy(v1::Copy {
                    from: path(&from),
                    from_view: view.map(|view| v1::View { view: Some(view) }),
                    to: path(&to),
                    mode: mode(create),
                })
            }
            Asked::Commit {
                at,
                bytes,
                create,
                attr,
                if_version,
            } => {
                let node = self.model.stat(u64::MAX, &path(&at).unwrap());
                let version = node.map_or(0, |node| node.lsn);
                let attr = attr.then_some(v1::Attr {
                    mode: 0o600,
                    uid: 1,
                    gid: 2,
                    mtime_ns: 77,
                });
                Op::Commit(v1::Commit {
                    path: path(&at),
                    attr,
                    content: Some(self.content(&bytes)),
                    mode: mode(create),
                    if_lsn: if_version.map(|right| if right { version } else { version + 1 }),
                })
            }
            other => unreachable!("{other:?} has no bytes"),
        }
    }

    /// What a past copy is of, as the machinery reads it; refused if it is not there.
    fn source(&self, request: &Op) -> Result<Option<CopySource>, Code> {
        let Op::Copy(copy) = request else {
            return Ok(None);
        };
        let Some(v1::view::View::AtLsn(lsn)) = copy.from_view.and_then(|view| view.view) else {
            return Ok(None);
        };
        let at = At::lsn(self.alone.snapshot(), lsn).unwrap();
        let entry = read::stat(at, copy.from.as_ref().unwrap(), true);
        entry
            .map(|entry| Some(CopySource { lsn, entry }))
            .map_err(|refusal| refusal.code())
    }

    fn condition(&self, request: &Op, if_version: Option<bool>) -> Option<u64> {
        let version = match self.model.stat(u64::MAX, &judged(request)) {
            // The model is born with the root, after the record that made it.
            Ok(root) if root.lsn == self.born => return None,
            Ok(node) => node.lsn,
            Err(_) => 0,
        };
        Some(if if_version? { version } else { version + 1 })
    }

    fn ask(&mut self, asked: &Asked, if_version: Option<bool>) -> Result<(), TestCaseError> {
        self.alone.now_ns += 1_000_000;
        let mut request = op(self.request(asked));
        request.if_lsn = self.condition(request.op.as_ref().unwrap(), if_version);
        let source = self.source(request.op.as_ref().unwrap());
        let wanted = self.model.refusal(&request);
        let source = match source {
            Ok(source) => source,
            Err(code) => {
                proptest::prop_assert_eq!(Some(code), wanted, "{:?}", request);
                return Ok(());
            }
        };
        let mut planned = self.alone.plan(&request, source.as_ref(), None);
        if let Err(Unplanned::Blocked(ticket)) = planned {
            proptest::prop_assert!(self.alone.in_flight.iter().any(|(at, _)| *at == ticket));
            self.alone.land_all();
            planned = self.alone.plan(&request, source.as_ref(), None);
        }
        match planned {
            Err(Unplanned::Blocked(_)) => {
                return Err(TestCaseError::fail("blocked with nothing in flight"));
            }
            Err(Unplanned::Refused(refusal)) => {
                proptest::prop_assert_eq!(Some(refusal.code()), wanted, "{:?}", request);
                // I4: what is in flight is seen as if it were folded.
                self.alone.land_all();
                let again = self.alone.plan(&request, source.as_ref(), None);
                proptest::prop_assert_eq!(again, Err(Unplanned::Refused(refusal)));
            }
            Ok(planned) => {
                proptest::prop_assert_eq!(None, wanted, "{:?}", request);
                let lsn = self.alone.fly(planned);
                let who = Who {
                    uid: 7,
                    gid: 8,
                    now_ns: self.alone.now_ns,
                };
                self.model.apply(&request, lsn, who).unwrap();
            }
        }
        Ok(())
    }

    fn check_at(&self, lsn: u64) -> Result<(), TestCaseError> {
        let at = At::lsn(self.alone.snapshot(), lsn).unwrap();
        let tree = self.model.at(lsn).unwrap();
        for (names, node) in tree.all() {
            let path = v1::Path {
                path: names.join(&b'/').into(),
                ..v1::Path::default()
            };
            let entry = read::stat(at, &path, true).unwrap();
            same(&entry, node, lsn)?;
            if node.kind != v1::Kind::Directory {
                continue;
            }
            let listed = list_in_pages(at, &path);
            let wanted = tree.children(names);
            proptest::prop_assert_eq!(entry.children, wanted.len() as u64, "at {} {:?}", lsn, path);
            proptest::prop_assert_eq!(listed.len(), wanted.len());
            for (entry, (name, node)) in listed.iter().zip(wanted) {
                proptest::prop_assert_eq!(&entry.name[..], &name[..]);
                same(entry, node, lsn)?;
            }
        }
        Ok(())
    }

    /// Every state there ever was, as it stands in the last snapshot.
    fn check_all(&mut self) -> Result<(), TestCaseError> {
        self.alone.land_all();
        let last = self.alone.snapshot().stamp.lsn;
        proptest::prop_assert_eq!(last + 1, self.alone.next_lsn);
        for lsn in 3..=last {
            self.check_at(lsn)?;
        }
        Ok(())
    }
}

/// Two names a page, so that paging is walked too.
fn list_in_pages(at: At<'_>, path: &v1::Path) -> Vec<v1::Entry> {
    let mut entries: Vec<v1::Entry> = Vec::new();
    loop {
        let after_name = entries
            .last()
            .map(|entry| entry.name.clone())
            .unwrap_or_default();
        let path = Some(path.clone());
        let request = v1::ListRequest {
            path,
            after_name,
            limit: 2,
            with_content: true,
            view: None,
        };
        let page = read::list(at, &request).unwrap();
        entries.extend(page.entries);
        if !page.more {
            return entries;
        }
    }
}

fn same(entry: &v1::Entry, node: &Node, at: u64) -> Result<(), TestCaseError> {
    proptest::prop_assert_eq!(entry.kind(), node.kind);
    proptest::prop_assert_eq!(entry.attr, Some(node.attr), "at {} {:?}", at, entry);
    proptest::prop_assert_eq!(&entry.link_target[..], &node.link_target[..]);
    proptest::prop_assert_eq!(entry.lsn.max(3), node.lsn, "at {} {:?}", at, entry);
    proptest::prop_assert_eq!(entry.links, node.links, "at {} {:?}", at, entry);
    let content = entry.content.clone().unwrap_or_default();
    if content.extents.is_empty() && node.kind == v1::Kind::File {
        proptest::prop_assert_eq!(content.crc32c, crc32c(&content.inline));
    }
    proptest::prop_assert_eq!(
        v1::Content {
            crc32c: 0,
            ..content
        },
        node.content.clone()
    );
    Ok(())
}

fn run(steps: &[Step]) -> Result<Run, TestCaseError> {
    let mut run = Run::new();
    for step in steps {
        match step {
            Step::Ask(asked, if_version) => run.ask(asked, *if_version)?,
            Step::Land(records) => {
                run.alone.land(*records);
            }
        }
    }
    run.check_all()?;
    Ok(run)
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

/// Also I4, in [`Run::ask`]; and FOLD-R5: one record is one version, and every version can be read.
#[test]
fn every_answer_and_every_past_state_is_the_models() {
    let mut runner = TestRunner::new(config(150));
    runner.run(&steps(), |steps| run(&steps).map(drop)).unwrap();
}

/// Names of one inode: what is changed through one is seen through all, at every LSN, and counted right.
#[test]
fn names_of_one_inode_are_the_models() {
    let mut runner = TestRunner::new(config(150));
    let steps = steps_of(requests_of_links());
    runner.run(&steps, |steps| run(&steps).map(drop)).unwrap();
}

/// I2, X7: however the frames are batched, and in whichever store.
#[test]
fn the_digest_does_not_depend_on_batches_nor_on_the_store() {
    let mut runner = TestRunner::new(config(12));
    let inputs = (steps(), vec(any::<bool>(), 64));
    let judged = |(steps, splits): (Vec<Step>, Vec<bool>)| {
        let run = run(&steps)?;
        let stamp = run.alone.snapshot().stamp;
        let directory = tempfile::tempdir().unwrap();
        let lsm: Arc<dyn View> = Arc::new(LsmView::open(directory.path()).unwrap());
        for view in [Arc::new(MemoryView::new()) as Arc<dyn View>, lsm.clone()] {
            let split = |index: usize| splits[index % splits.len()];
            let folder = refold(view, &run.alone.frames, split).unwrap();
            proptest::prop_assert_eq!(folder.stamp(), stamp);
            let (a, b) = (
                crate::view::dump(folder.snapshot()),
                crate::view::dump(run.alone.snapshot()),
            );
            proptest::prop_assert!(a == b, "rows differ");
        }
        Ok(())
    };
    runner.run(&inputs, judged).unwrap();
}
