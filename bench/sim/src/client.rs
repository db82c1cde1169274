//! A client: random operations on a small name space, all of them noted.
use crate::history::{Answer, Asked, Done, History, Read, What, bytes_of};
use bytes::Bytes;
use dfs_env::sim::SimWorld;
use dfs_fs::{Address, AppendOptions, AttrChange, Committed, Fs, When, WriteOptions, source_of};
use dfs_wire::v1::mutate::Op;
use dfs_wire::{Refusal, v1};
use std::sync::Arc;
use std::time::Duration;

/// Few names, so that operations meet.
const NAMES: [&str; 3] = ["a", "b", "c"];
const DEPTH_MAX: u64 = 3;
/// Above what a record holds, below two blocks.
const LARGE_BYTES: (u64, u64) = (17_000, 90_000);
const SMALL_BYTES_MAX: u64 = 300;
const THINK_MS_MAX: u64 = 25;

/// One of several that share an `Fs`.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) fs: Fs,
    pub(crate) world: SimWorld,
    pub(crate) history: Arc<History>,
    /// Nothing is asked about what was before it.
    pub(crate) birth_lsn: u64,
    /// Its log time.
    pub(crate) birth_us: u64,
}

pub(crate) fn address(path: &str) -> Address {
    Address::new(path).expect("a good path")
}

pub(crate) fn wire(path: &str) -> v1::Path {
    v1::Path {
        path: address(path).path().to_vec().into(),
        ..v1::Path::default()
    }
}

impl Client {
    pub(crate) async fn work(self, operations: u32) {
        for _ in 0..operations {
            let think = self.world.below(THINK_MS_MAX * 1000);
            self.fs.env().sleep(Duration::from_micros(think)).await;
            let path = self.path(1);
            match self.world.below(20) {
                0..=2 => self.make_directory(&path).await,
                3..=5 => self.write(&path, self.small()).await,
                6 => self.write(&path, self.large()).await,
                7..=8 => self.append(&path).await,
                9 => self.truncate(&path).await,
                10..=11 => self.rename(&path).await,
                12..=13 => self.remove(&path).await,
                14 if self.chance(2) => self.set_xattr(&path).await,
                14 => self.set_mode(&path).await,
                15 => self.copy(&path).await,
                16 if self.chance(2) => self.set_settings().await,
                _ => self.look().await,
            }
        }
    }

    fn chance(&self, one_in: u64) -> bool {
        self.world.below(one_in) == 0
    }

    /// At least so many names.
    fn path(&self, least: u64) -> String {
        let depth = least + self.world.below(DEPTH_MAX + 1 - least);
        let name = |_| NAMES[self.world.below(NAMES.len() as u64) as usize];
        (0..depth).map(name).collect::<Vec<_>>().join("/")
    }

    fn small(&self) -> usize {
        1 + self.world.below(SMALL_BYTES_MAX) as usize
    }

    fn large(&self) -> usize {
        let (least, most) = LARGE_BYTES;
        (least + self.world.below(most - least)) as usize
    }

    /// Some LSN of the past.
    fn past(&self) -> u64 {
        let told = self.history.told_lsn().max(self.birth_lsn);
        self.birth_lsn + self.world.below(told - self.birth_lsn + 1)
    }

    /// Some log time of the past.
    fn past_us(&self) -> u64 {
        let told = self.history.told_us().max(self.birth_us);
        self.birth_us + self.world.below(told - self.birth_us + 1)
    }

    async fn mutate(&self, op: Op, doing: impl Future<Output = Result<Committed, Refusal>>) {
        let floor = self.history.told_lsn();
        let outcome = doing.await;
        let client = self.name.clone();
        let what = What::Mutation(
            v1::Mutate {
                op: Some(op),
                if_lsn: None,
            },
            outcome,
        );
        self.history.add(Done {
            client,
            floor,
            what,
        });
    }

    async fn make_directory(&self, path: &str) {
        let parents = self.chance(3);
        let op = Op::MakeDirectory(v1::MakeDirectory {
            path: Some(wire(path)),
            attr: None,
            parents,
            exist_ok: parents,
        });
        let at = address(path);
        self.mutate(op, self.fs.mkdir(&at, None, parents)).await;
    }

    async fn write(&self, path: &str, length: usize) {
        let number = self.history.next_content();
        let create_only = self.chance(3);
        let mode = match create_only {
            true => v1::CommitMode::Create,
            false => v1::CommitMode::Replace,
        };
        let op = Op::Commit(v1::Commit {
            path: Some(wire(path)),
            attr: Some(v1::Attr {
                mode: 0o644,
                ..v1::Attr::default()
            }),
            content: Some(content(number, length)),
            mode: mode as i32,
            if_lsn: None,
        });
        let options = WriteOptions {
            create_only,
            ..WriteOptions::default()
        };
        let (at, source) = (address(path), source_of(bytes_of(number, length)));
        self.mutate(op, self.fs.write(&at, source, options)).await;
    }

    async fn append(&self, path: &str) {
        let (number, length) = (self.history.next_content(), self.small());
        let op = Op::Append(v1::Append {
            path: Some(wire(path)),
            content: Some(content(number, length)),
            if_size: None,
        });
        let (at, source) = (address(path), source_of(bytes_of(number, length)));
        // What moves a file to extents is a mutation of its own, which the history would not hold.
        let options = AppendOptions {
            one_record: true,
            ..AppendOptions::default()
        };
        let doing = self.fs.append(&at, source, options);
        self.mutate(op, doing).await;
    }

    async fn truncate(&self, path: &str) {
        let size = self.world.below(SMALL_BYTES_MAX);
        let op = Op::Truncate(v1::Truncate {
            path: Some(wire(path)),
            size,
        });
        let at = address(path);
        self.mutate(op, self.fs.truncate(&at, size)).await;
    }

    async fn rename(&self, path: &str) {
        let (to, no_replace) = (self.path(1), self.chance(4));
        let op = Op::Rename(v1::Rename {
            from: Some(wire(path)),
            to: Some(wire(&to)),
            no_replace,
        });
        let (from, to) = (address(path), address(&to));
        if from != to && from.contains(&to) {
            return; // refused before anything is sent
        }
        self.mutate(op, self.fs.rename(&from, &to, no_replace))
            .await;
    }

    async fn remove(&self, path: &str) {
        let recursive = self.chance(2);
        let op = Op::Remove(v1::Remove {
            path: Some(wire(path)),
            recursive,
        });
        let at = address(path);
        self.mutate(op, self.fs.remove(&at, recursive)).await;
    }

    async fn set_mode(&self, path: &str) {
        let mode = Some(self.world.below(0o1000) as u32);
        let op = Op::SetAttr(v1::SetAttr {
            path: Some(wire(path)),
            mode,
            ..v1::SetAttr::default()
        });
        let change = AttrChange {
            mode,
            ..AttrChange::default()
        };
        let at = address(path);
        self.mutate(op, self.fs.set_attr(&at, change)).await;
    }

    async fn copy(&self, path: &str) {
        let (to, past) = (self.path(1), self.chance(2).then(|| self.past()));
        let view = past.map_or(v1::view::View::Linearizable(true), v1::view::View::AtLsn);
        let op = Op::Copy(v1::Copy {
            from: Some(wire(path)),
            from_view: Some(v1::View { view: Some(view) }),
            to: Some(wire(&to)),
            mode: v1::CommitMode::Replace as i32,
        });
        let (from, to) = (address(path), address(&to));
        let doing = self
            .fs
            .copy(&from, past.map_or(When::Head, When::Lsn), &to, false);
        self.mutate(op, doing).await;
    }

    async fn look(&self) {
        let asked = [Asked::Stat, Asked::List, Asked::Bytes][self.world.below(3) as usize];
        let when = match self.world.below(6) {
            0 => When::Lsn(self.past()),
            1 => When::TimeUs(self.past_us()),
            _ => When::Head,
        };
        let path = self.path(u64::from(asked == Asked::Bytes));
        self.read(&path, when, asked).await;
    }

    /// One read, noted.
    pub(crate) async fn read(&self, path: &str, when: When, asked: Asked) {
        let floor = self.history.told_lsn();
        let at = address(path);
        let answer = match asked {
            Asked::Stat => self.fs.stat_with_xattrs(&at, when).await.map(Answer::Stat),
            Asked::List => self.fs.list(&at, when, b"", 0).await.map(Answer::List),
            Asked::Bytes => self.bytes(&at, when).await,
            Asked::Settings => self.fs.settings(when).await.map(Answer::Settings),
        };
        let path = wire(path);
        let client = self.name.clone();
        let what = What::Read(Read {
            path,
            when,
            answer,
            asked,
        });
        self.history.add(Done {
            client,
            floor,
            what,
        });
    }

    async fn bytes(&self, at: &Address, when: When) -> Result<Answer, Refusal> {
        let reading = self.fs.read(at, when, None).await?;
        let entry = reading.entry.clone();
        Ok(Answer::Bytes(entry, reading.collect().await?))
    }
}

/// Values that change no outcome of what clients do here, small contents inline and large ones not among it.
const VALUES: [(v1::Setting, [u64; 2]); 4] = [
    (v1::Setting::InlineBytes, [8_000, 16_384]),
    (v1::Setting::FileBytesMax, [1 << 20, 1 << 30]),
    (v1::Setting::NameBytesMax, [16, 255]),
    (v1::Setting::DirectoryEntriesMax, [1_000, 0]),
];

impl Client {
    /// One of two names, set or removed.
    async fn set_xattr(&self, path: &str) {
        let name = Bytes::from(["user.one", "user.two"][self.world.below(2) as usize]);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        if self.chance(3) {
            remove.push(name);
        } else {
            let value = bytes_of(self.history.next_content(), self.small());
            set.push(v1::Xattr { name, value });
        }
        let op = Op::SetXattr(v1::SetXattr {
            path: Some(wire(path)),
            set: set.clone(),
            remove: remove.clone(),
        });
        let at = address(path);
        self.mutate(op, self.fs.set_xattrs(&at, set, remove)).await;
    }

    /// Some of them, back to their defaults too, and now and then what is out of bounds.
    async fn set_settings(&self) {
        let mut changes = Vec::new();
        for (setting, values) in VALUES {
            let value = match self.world.below(8) {
                0 => None,
                1 => Some(u64::MAX),
                2..=4 => Some(values[self.world.below(2) as usize]),
                _ => continue,
            };
            changes.push(v1::SettingChanged {
                setting: setting as u32,
                value,
            });
        }
        let op = Op::SetSettings(v1::SetSettings {
            changes: changes.clone(),
        });
        self.mutate(op, self.fs.set_settings(changes)).await;
        let when = match self.chance(2) {
            true => When::Head,
            false => When::Lsn(self.past()),
        };
        self.read("", when, Asked::Settings).await;
    }
}

/// As the model keeps it: small ones whole, large ones as an extent of that number.
fn content(number: u64, length: usize) -> v1::Content {
    let large = length > SMALL_BYTES_MAX as usize;
    let extent = v1::ExtentRef {
        extent: Some(v1::ExtentId {
            session: 0,
            counter: number,
        }),
        length: length as u32,
        ..v1::ExtentRef::default()
    };
    v1::Content {
        size: length as u64,
        crc32c: 0,
        inline: match large {
            true => bytes::Bytes::new(),
            false => bytes_of(number, length),
        },
        extents: large.then_some(extent).into_iter().collect(),
    }
}

/// Every path of the name space, the root first.
pub(crate) fn all_paths() -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut level = paths.clone();
    for _ in 0..DEPTH_MAX {
        let deeper = |above: &String| NAMES.map(|name| format!("{above}/{name}"));
        level = level.iter().flat_map(deeper).collect();
        paths.extend(level.iter().cloned());
    }
    paths
}
