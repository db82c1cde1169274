//! What is promised to those who read and write at the same time: each sentence of SEMANTICS.md, run.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use bytes::Bytes;
use dfs_fs::{
    Address, AppendOptions, AttrChange, Code, Committed, Fs, Kind, Refusal, When, WriteOptions,
    source_of, v1,
};
use dfs_sim::quiet;
use futures::future::{join, join_all};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;

const SEED: u64 = 1;
/// Beyond what rides in a record, so that extents are read, too.
const LARGE: usize = 100_000;
const ROUNDS: usize = 12;

type Done = Result<Committed, Refusal>;

fn at(path: &str) -> Address {
    Address::new(path).unwrap()
}

fn filled(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

async fn put(fs: &Fs, path: &str, bytes: impl Into<Bytes>) -> Done {
    fs.write(&at(path), source_of(bytes), WriteOptions::default())
        .await
}

async fn append(fs: &Fs, path: &str, bytes: impl Into<Bytes>) -> Done {
    fs.append(&at(path), source_of(bytes), AppendOptions::default())
        .await
}

async fn rename(fs: &Fs, from: &str, to: &str) -> Done {
    fs.rename(&at(from), &at(to), false).await
}

async fn whole(fs: &Fs, path: &str, when: When) -> Bytes {
    let reading = fs.read(&at(path), when, None).await.unwrap();
    reading.collect().await.unwrap()
}

async fn names(fs: &Fs, directory: &str) -> Vec<String> {
    let listing = fs.list(&at(directory), When::Head, b"", 0).await.unwrap();
    let names = listing.value.entries.iter();
    names
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect()
}

fn code(done: Done) -> Option<Code> {
    done.err().map(|refusal| refusal.code())
}

/// What was acknowledged to one client is seen by every read that anybody begins afterwards.
#[test]
fn acknowledged_is_seen() {
    quiet(SEED, |[writer, reader, _]| async move {
        for round in 0..ROUNDS {
            put(&writer, "/f", filled(round as u8, 10)).await.unwrap();
            assert_eq!(whole(&reader, "/f", When::Head).await[0], round as u8);
        }
    });
}

/// A write replaces a file whole: a reader gets all of the old bytes or all of the new ones, never a mixture and never a part.
#[test]
fn a_write_is_whole() {
    quiet(SEED, |[writer, reader, _]| async move {
        let versions = [filled(1, LARGE), filled(2, 2 * LARGE), filled(3, 10)];
        put(&writer, "/f", versions[0].clone()).await.unwrap();
        let writing = async {
            for round in 0..ROUNDS {
                put(&writer, "/f", versions[round % 3].clone())
                    .await
                    .unwrap();
            }
        };
        let reading = async {
            for _ in 0..ROUNDS {
                let seen = whole(&reader, "/f", When::Head).await;
                assert!(versions.contains(&seen), "{} bytes", seen.len());
            }
        };
        join(writing, reading).await;
    });
}

/// A reader goes on with the file as it was when it was opened, whatever is written, truncated or removed meanwhile; so does a path with a moment.
#[test]
fn what_is_open_stays() {
    quiet(SEED, |[writer, reader, _]| async move {
        let bytes = filled(1, 10 * LARGE);
        let made = put(&writer, "/f", bytes.clone()).await.unwrap();
        let opened = || async { reader.read(&at("/f"), When::Head, None).await.unwrap() };
        let first = opened().await;
        writer.truncate(&at("/f"), 5).await.unwrap();
        assert!(first.collect().await.unwrap() == bytes);
        put(&writer, "/f", bytes.clone()).await.unwrap();
        let mut second = opened().await.bytes;
        let begun = second.next().await.unwrap().unwrap();
        writer.remove(&at("/f"), false).await.unwrap();
        let rest: Vec<Bytes> = second.try_collect().await.unwrap();
        assert_eq!(begun.len() + rest.concat().len(), bytes.len());
        assert!(whole(&reader, "/f", When::Lsn(made.lsn)).await == bytes);
        assert_eq!(
            reader.stat(&at("/f"), When::Head).await.unwrap_err().code(),
            Code::NotFound
        );
    });
}

/// A rename is one step: at every moment the file stands at its old place or at its new one, never at both and never at neither, and what it replaces is gone in that step.
#[test]
fn a_rename_is_one_step() {
    quiet(SEED, |[writer, reader, _]| async move {
        for directory in ["/one", "/other"] {
            writer.mkdir(&at(directory), None, false).await.unwrap();
        }
        put(&writer, "/one/a", "moved").await.unwrap();
        put(&writer, "/other/old", "old").await.unwrap();
        let writing = async {
            for _ in 0..ROUNDS {
                rename(&writer, "/one/a", "/one/b").await.unwrap();
                rename(&writer, "/one/b", "/one/a").await.unwrap();
                put(&writer, "/other/new", "new").await.unwrap();
                rename(&writer, "/other/new", "/other/old").await.unwrap();
            }
        };
        let reading = async {
            let mut places = BTreeSet::new();
            for _ in 0..4 * ROUNDS {
                let seen = names(&reader, "/one").await;
                assert_eq!(seen.len(), 1, "{seen:?}");
                places.extend(seen);
                let replaced = names(&reader, "/other").await;
                assert!(replaced.contains(&"old".to_owned()), "{replaced:?}");
            }
            assert_eq!(places.len(), 2, "it was not read while it moved");
        };
        join(writing, reading).await;
    });
}

/// A rename replaces a file by a file and an empty directory by a directory; over a directory that is not empty it is refused with NotEmpty, between a file and a directory and of a directory into itself with WrongKind; onto itself it does nothing.
#[test]
fn what_a_rename_replaces() {
    quiet(SEED, |[fs, _, _]| async move {
        for directory in ["/empty", "/full/below", "/d"] {
            fs.mkdir(&at(directory), None, true).await.unwrap();
        }
        for file in ["/f", "/g"] {
            put(&fs, file, "bytes").await.unwrap();
        }
        let table = [
            ("/d", "/full", Some(Code::NotEmpty)),
            ("/f", "/empty", Some(Code::WrongKind)),
            ("/d", "/f", Some(Code::WrongKind)),
            ("/full", "/full/below", Some(Code::WrongKind)),
            ("/full", "/full/below/deeper", Some(Code::WrongKind)),
            ("/none", "/f", Some(Code::NotFound)),
            ("/f", "/none/f", Some(Code::NotFound)),
            ("/f", "/f", None),
            ("/full", "/full", None),
            ("/f", "/g", None),
            ("/d", "/empty", None),
            ("/full", "/empty/full", None),
        ];
        for (from, to, wanted) in table {
            assert_eq!(code(rename(&fs, from, to).await), wanted, "{from} to {to}");
        }
        assert_eq!(names(&fs, "/").await, ["empty", "g"]);
        assert_eq!(names(&fs, "/empty/full").await, ["below"]);
    });
}

/// A hard link is the same file under one more name: what is changed by one name is seen by all, one that is removed or replaced leaves the others, and a rename of one name onto another does nothing. A directory has one name.
#[test]
fn names_of_one_file() {
    quiet(SEED, |[one, two, _]| async move {
        put(&one, "/a", "one").await.unwrap();
        one.link(&at("/a"), &at("/b")).await.unwrap();
        append(&two, "/b", " two").await.unwrap();
        assert_eq!(whole(&one, "/a", When::Head).await, "one two");
        assert_eq!(rename(&one, "/a", "/b").await.map(drop), Ok(()));
        assert_eq!(names(&two, "/").await, ["a", "b"]);
        assert_eq!(one.stat(&at("/a"), When::Head).await.unwrap().links, 2);
        one.remove(&at("/a"), false).await.unwrap();
        let left = two.stat(&at("/b"), When::Head).await.unwrap();
        assert_eq!((left.links, left.size), (1, 7));
        one.mkdir(&at("/d"), None, false).await.unwrap();
        let refused = one.link(&at("/d"), &at("/e")).await;
        assert_eq!(code(refused), Some(Code::WrongKind));
    });
}

/// A truncate is one step: readers get the file before it or after it. Beyond the old end there are zeros, which take no room.
#[test]
fn a_truncate_is_one_step() {
    quiet(SEED, |[writer, reader, _]| async move {
        put(&writer, "/f", filled(1, LARGE)).await.unwrap();
        let far = 3 << 30;
        let writing = async {
            writer.truncate(&at("/f"), 10).await.unwrap();
            writer.truncate(&at("/f"), far).await.unwrap();
        };
        let reading = async {
            for _ in 0..ROUNDS {
                let entry = reader.stat(&at("/f"), When::Head).await.unwrap();
                assert!([10, LARGE as u64, far].contains(&entry.size));
            }
        };
        join(writing, reading).await;
        for range in [0..20, far - 20..far] {
            let wanted: Vec<u8> = range.clone().map(|at| u8::from(at < 10)).collect();
            let read = reader.read(&at("/f"), When::Head, Some(range)).await;
            assert_eq!(read.unwrap().collect().await.unwrap(), wanted);
        }
        put(&writer, "/small", "bytes").await.unwrap();
        writer.truncate(&at("/small"), LARGE as u64).await.unwrap();
        let grown = whole(&reader, "/small", When::Head).await;
        assert!(grown.starts_with(b"bytes\0") && grown.len() == LARGE);
    });
}

/// Appends of several clients are each whole, one after the other in the order of their LSNs.
#[test]
fn appends_are_whole_and_in_order() {
    quiet(SEED, |clients| async move {
        put(&clients[0], "/f", "").await.unwrap();
        let appending = clients.iter().zip(1u8..).map(|(fs, byte)| async move {
            let mut done = Vec::new();
            for length in 1..ROUNDS {
                let appended = append(fs, "/f", filled(byte, length)).await;
                done.push((appended.unwrap().lsn, byte, length));
            }
            done
        });
        let mut done = join_all(appending).await.concat();
        done.sort_unstable();
        let parts: Vec<Bytes> = done
            .iter()
            .map(|(_, byte, length)| filled(*byte, *length))
            .collect();
        assert!(whole(&clients[0], "/f", When::Head).await == parts.concat());
    });
}

/// Of several clients that create one name exclusively, one does, and the others are refused with Exists.
#[test]
fn one_creates() {
    quiet(SEED, |clients| async move {
        let creating = clients.iter().map(|fs| async move {
            let options = WriteOptions {
                create_only: true,
                ..WriteOptions::default()
            };
            fs.write(&at("/f"), source_of("mine"), options).await
        });
        let mut codes: Vec<_> = join_all(creating).await.into_iter().map(code).collect();
        codes.sort_unstable_by_key(|code| code.is_some());
        assert_eq!(codes, [None, Some(Code::Exists), Some(Code::Exists)]);
    });
}

/// Of several clients that change, move or remove the same version of an entry under its LSN, one does, and the others are refused with Conflict.
#[test]
fn one_changes_a_version() {
    quiet(SEED, |clients| async move {
        let version = put(&clients[0], "/f", "seen").await.unwrap().lsn;
        let [one, two, three] = clients.map(|fs| fs.with_if_lsn(Some(version)));
        let moved = async { rename(&one, "/f", "/g").await };
        let changed = async { append(&two, "/f", " and more").await };
        let removed = async { three.remove(&at("/f"), false).await };
        let (moved, (changed, removed)) = join(moved, join(changed, removed)).await;
        let mut codes = [moved, changed, removed].map(code);
        codes.sort_unstable_by_key(|code| code.is_some());
        assert_eq!(codes, [None, Some(Code::Conflict), Some(Code::Conflict)]);
    });
}

/// A directory is removed with all below it in one step, and listed as it was at one moment, however many pages that takes.
#[test]
fn a_directory_is_one_state() {
    quiet(SEED, |[writer, reader, _]| async move {
        for number in 0..ROUNDS {
            let path = format!("/d/{number:02}");
            writer.mkdir(&at(&path), None, true).await.unwrap();
        }
        let first = reader.list(&at("/d"), When::Head, b"", 5).await.unwrap();
        writer.remove(&at("/d"), true).await.unwrap();
        let moment = When::Lsn(first.lsn);
        let second = reader.list(&at("/d"), moment, b"04", 0).await.unwrap();
        assert_eq!(
            first.value.entries.len() + second.value.entries.len(),
            ROUNDS
        );
        let gone = reader.list(&at("/d"), When::Head, b"", 5).await;
        assert_eq!(gone.unwrap_err().code(), Code::NotFound);
    });
}

/// Extended attributes and ACLs are the file's, whatever its names, and its moment's: a rename and other bytes leave them, a copy has those of its source, and the past shows those it had.
#[test]
fn attributes_are_the_files() {
    quiet(SEED, |[writer, reader, _]| async move {
        let made = put(&writer, "/f", filled(1, 10)).await.unwrap();
        writer.link(&at("/f"), &at("/g")).await.unwrap();
        let xattr = v1::Xattr {
            name: "user.a".into(),
            value: filled(7, 60_000),
        };
        let name = at("/g");
        let set = writer.set_xattrs(&name, vec![xattr.clone()], vec![]);
        set.await.unwrap();
        writer.set_acl(&at("/f"), named(7)).await.unwrap();
        put(&writer, "/f", filled(2, LARGE)).await.unwrap();
        rename(&writer, "/g", "/h").await.unwrap();
        writer
            .copy(&at("/f"), When::Head, &at("/copy"), false)
            .await
            .unwrap();
        for path in ["/f", "/h", "/copy"] {
            let seen = reader.stat_with_xattrs(&at(path), When::Head).await;
            let seen = seen.unwrap().value;
            assert_eq!(
                (&seen.xattrs[..], seen.acl.is_some()),
                (&[xattr.clone()][..], true)
            );
        }
        let past = reader
            .stat_with_xattrs(&at("/f"), When::Lsn(made.lsn))
            .await;
        let past = past.unwrap().value;
        assert!(past.xattrs.is_empty() && past.acl.is_none());
    });
}

fn named(uid: u32) -> v1::SetAcl {
    let entry = v1::AclEntry {
        tag: v1::AclTag::User as i32,
        id: uid,
        perms: 7,
    };
    v1::SetAcl {
        modify: vec![entry],
        ..v1::SetAcl::default()
    }
}

/// What is made in a directory with a default ACL has it from its first moment on; a chmod sets the mask, and nobody enforces an ACL yet.
#[test]
fn a_default_acl_is_inherited_at_once() {
    quiet(SEED, |[writer, reader, _]| async move {
        writer.mkdir(&at("/d"), None, false).await.unwrap();
        let change = named(7);
        let default = v1::SetAcl {
            modify_in_default: change.modify,
            ..v1::SetAcl::default()
        };
        writer.set_acl(&at("/d"), default).await.unwrap();
        let made = put(&writer, "/d/f", filled(1, 10)).await.unwrap();
        let first = reader.stat(&at("/d/f"), When::Lsn(made.lsn)).await;
        let first = first.unwrap().value;
        assert_eq!((first.acl.unwrap().entries.len(), first.mode), (2, 0o644));
        let none = AttrChange {
            mode: Some(0o600),
            ..AttrChange::default()
        };
        writer.set_attr(&at("/d/f"), none).await.unwrap();
        let after = reader.stat(&at("/d/f"), When::Head).await.unwrap().value;
        assert_eq!((after.acl.unwrap().entries.len(), after.mode), (2, 0o600));
        assert_eq!(whole(&reader, "/d/f", When::Head).await.len(), 10);
    });
}

/// All twelve mode bits are stored, those for set-uid, set-gid and sticky too, and enforced by nobody yet; times have nanoseconds, and may lie before 1970.
#[test]
fn attributes_are_kept_as_given() {
    quiet(SEED, |[fs, other, _]| async move {
        fs.mkdir(&at("/d"), Some(0o1777), false).await.unwrap();
        put(&fs, "/f", "bytes").await.unwrap();
        let change = AttrChange {
            mode: Some(0o6755),
            mtime_ns: Some(-1_000_000_001),
            ..AttrChange::default()
        };
        fs.set_attr(&at("/f"), change).await.unwrap();
        let file = other.stat(&at("/f"), When::Head).await.unwrap().value;
        assert_eq!((file.mode, file.mtime_ns), (0o6755, -1_000_000_001));
        let directory = other.stat(&at("/d"), When::Head).await.unwrap().value;
        assert_eq!((directory.kind, directory.mode), (Kind::Directory, 0o1777));
    });
}

/// The sentences before tests, in their order.
fn told() -> Vec<&'static str> {
    let lines: Vec<&str> = include_str!("semantics.rs").lines().collect();
    let before_tests = lines.windows(2).filter(|two| two[1] == "#[test]");
    before_tests
        .filter_map(|two| two[0].strip_prefix("/// "))
        .collect()
}

#[test]
fn the_document_says_what_the_tests_say() {
    let document = include_str!("../../../client/fs/SEMANTICS.md");
    let promised: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    assert_eq!(promised, told());
    assert!(promised.len() > 10);
}
