//! Whole trees up and down: equal in every respect, resumable, with failures told one by one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use dfs_fs::transfer::{Progress, Skip, Summary, TransferOptions};
use dfs_fs::{Address, Code, Fs, When};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::fake::Cluster;

fn at(path: &str) -> Address {
    Address::new(path).unwrap()
}

fn set_times(path: &Path, sec: i64, nsec: i64) {
    let time = Timespec {
        tv_sec: sec,
        tv_nsec: nsec,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn write(path: &Path, length: usize, mode: u32) {
    let bytes: Vec<u8> = (0..length).map(|i| (i * 17 % 253) as u8).collect();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Odd names, empty directories, symlinks to nowhere and to directories, all sizes, all times.
fn make_tree(top: &Path) {
    fs::create_dir_all(top.join("deep/er/est")).unwrap();
    fs::create_dir_all(top.join("only/directories/below")).unwrap();
    fs::create_dir(top.join("empty")).unwrap();
    write(&top.join("none"), 0, 0o600);
    write(&top.join("small"), 5, 0o4755);
    write(&top.join("inline"), 16 << 10, 0o444);
    write(&top.join("extent"), (16 << 10) + 1, 0o644);
    write(&top.join("chunk"), 1 << 20, 0o644);
    write(&top.join("deep/large"), (17 << 20) + 3, 0o640);
    write(
        &top.join(OsStr::from_bytes(b"odd \xff\xfe\n@name")),
        7,
        0o644,
    );
    write(&top.join("n".repeat(255)), 7, 0o644);
    symlink("nowhere/at/all", top.join("dangling")).unwrap();
    symlink("deep", top.join("to-directory")).unwrap();
    for number in 0..300 {
        write(&top.join(format!("deep/er/{number}")), number, 0o644);
    }
    set_times(&top.join("small"), -5, 999_999_999);
    set_times(&top.join("dangling"), 1_000_000_000, 123_456_789);
    set_times(&top.join("empty"), 1_000_000_001, 1);
    set_times(&top.join("deep/er"), 1_000_000_002, 2);
    set_times(&top.join("only/directories"), 1_000_000_005, 5);
    set_times(&top.join("only"), 1_000_000_006, 6);
    set_times(&top.join("deep"), 1_000_000_003, 3);
    fs::set_permissions(top.join("empty"), fs::Permissions::from_mode(0o1555)).unwrap();
    set_times(top, 1_000_000_004, 4);
}

/// Path below the top → (kind and mode, mtime, content or target).
type Picture = BTreeMap<Vec<u8>, (u32, i64, i64, Vec<u8>)>;

fn picture(top: &Path) -> Picture {
    let mut picture = Picture::new();
    let mut todo = vec![top.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            Vec::new()
        } else if meta.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else {
            fs::read(&path).unwrap()
        };
        let below = path
            .strip_prefix(top)
            .unwrap()
            .as_os_str()
            .as_bytes()
            .to_vec();
        picture.insert(
            below,
            (meta.mode(), meta.mtime(), meta.mtime_nsec(), content),
        );
    }
    picture
}

fn assert_equal(left: &Path, right: &Path) {
    let (left, right) = (picture(left), picture(right));
    for (path, what) in &left {
        let other = right.get(path).map(|w| (w.0, w.1, w.2, w.3.len()));
        let same = right.get(path) == Some(what);
        let path = String::from_utf8_lossy(path);
        assert!(
            same,
            "{path}: {:?} {other:?}",
            (what.0, what.1, what.2, what.3.len())
        );
    }
    assert_eq!(left.len(), right.len());
}

async fn put(fs: &Fs, local: &Path, remote: &str, skip: Skip) -> Summary {
    let options = TransferOptions {
        skip,
        ..TransferOptions::default()
    };
    let progress = Arc::new(Progress::default());
    fs.put_tree(local, &at(remote), options, progress)
        .await
        .unwrap()
}

async fn get(fs: &Fs, remote: &str, local: &Path) -> Summary {
    let progress = Arc::new(Progress::default());
    let options = TransferOptions::default();
    fs.get_tree(&at(remote), When::Head, local, options, progress)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_goes_in_and_out_equal() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    make_tree(&from);
    let summary = put(&fs, &from, "/a/b", Skip::SameSizeAndTime).await;
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    let counts = summary.counts;
    assert_eq!(
        (counts.files, counts.symlinks, counts.directories),
        (308, 2, 8)
    );
    assert_eq!(counts.found_files, 310);
    assert!(counts.found_all && counts.lsn > 0);
    let summary = get(&fs, "/a/b", &to).await;
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    assert_equal(&from, &to);

    // Again, both ways: nothing is left to do, and nothing is done.
    let before = cluster.state.lock().namespace.mutations;
    let summary = put(&fs, &from, "/a/b", Skip::SameSizeAndTime).await;
    assert_eq!(
        (summary.counts.files, summary.counts.skipped_files),
        (0, 310)
    );
    assert_eq!(cluster.state.lock().namespace.mutations, before);
    let summary = get(&fs, "/a/b", &to).await;
    assert_eq!(
        (summary.counts.files, summary.counts.skipped_files),
        (0, 310)
    );
    assert_equal(&from, &to);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_again_it_puts_what_is_missing_or_differs() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    make_tree(&from);
    put(&fs, &from, "/t", Skip::SameSizeAndTime).await;
    fs.remove(&at("/t/deep/er/7"), false).await.unwrap();
    fs.remove(&at("/t/empty"), false).await.unwrap();
    write(&from.join("extent"), 40_000, 0o644);
    fs::set_permissions(from.join("small"), fs::Permissions::from_mode(0o700)).unwrap();
    let summary = put(&fs, &from, "/t", Skip::SameSizeAndTime).await;
    assert_eq!((summary.counts.files, summary.counts.directories), (2, 1));
    // Same size and time, other bytes: only the checksum tells.
    let time = fs::metadata(from.join("chunk")).unwrap();
    fs::write(from.join("chunk"), vec![9; 1 << 20]).unwrap();
    set_times(&from.join("chunk"), time.mtime(), time.mtime_nsec());
    assert_eq!(
        put(&fs, &from, "/t", Skip::SameSizeAndTime)
            .await
            .counts
            .files,
        0
    );
    assert_eq!(
        put(&fs, &from, "/t", Skip::SameChecksum).await.counts.files,
        1
    );
    get(&fs, "/t", &to).await;
    assert_equal(&from, &to);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_file_or_symlink_is_a_tree_too() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let from = dir.path().join("from");
    make_tree(&from);
    for name in ["small", "deep/large", "dangling"] {
        let remote = format!("/made/{name}");
        assert!(
            put(&fs, &from.join(name), &remote, Skip::Nothing)
                .await
                .failures
                .is_empty()
        );
        let to = dir.path().join("to");
        assert!(get(&fs, &remote, &to).await.failures.is_empty());
        assert_equal(&from.join(name), &to);
        fs::remove_file(to).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_told_and_the_rest_goes_on() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let from = dir.path().join("from");
    make_tree(&from);
    let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    fs.mkdir(&at("/t/small"), None, true).await.unwrap();
    let summary = put(&fs, &from, "/t", Skip::SameSizeAndTime).await;
    let mut failed: Vec<_> = summary
        .failures
        .iter()
        .map(|f| (f.local.clone(), f.refusal.code()))
        .collect();
    failed.sort();
    let expected = [
        (from.join("small"), Code::WrongKind),
        (from.join("socket"), Code::WrongKind),
    ];
    assert_eq!(failed, expected);
    assert_eq!((summary.counts.failed, summary.counts.files), (2, 307));
    assert!(summary.stopped.is_none());

    let to = dir.path().join("to");
    fs::create_dir_all(to.join("none/in the way")).unwrap();
    let summary = get(&fs, "/t", &to).await;
    assert_eq!(summary.failures.len(), 1, "{:?}", summary.failures);
    assert_eq!(summary.failures[0].local, to.join("none"));
    let left = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.as_bytes().starts_with(b".dfs-"))
        .collect();
    assert!(left.is_empty(), "nothing unfinished stays: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_get_has_left_is_cleared_by_the_next() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let from = dir.path().join("from");
    write(&from, 100_000, 0o644);
    put(&fs, &from, "/f", Skip::Nothing).await;
    let to = dir.path().join("into/to");
    fs::create_dir(dir.path().join("into")).unwrap();
    fs::create_dir_all(to.join("in the way")).unwrap();
    assert_eq!(get(&fs, "/f", &to).await.failures.len(), 1);
    fs::remove_dir_all(&to).unwrap();
    let names = || fs::read_dir(dir.path().join("into")).unwrap().count();
    assert_eq!(names(), 0, "a get that fails leaves nothing");

    let left = dfs_fs::transfer::unfinished(&to);
    fs::write(&left, "a part").unwrap();
    let held = fs::File::open(&left).unwrap();
    held.lock().unwrap();
    let refused = get(&fs, "/f", &to).await;
    assert_eq!(
        refused.failures[0].refusal.code(),
        Code::Exists,
        "it is being written"
    );
    assert_eq!(fs::read(&left).unwrap(), b"a part");
    drop(held);
    assert!(get(&fs, "/f", &to).await.failures.is_empty());
    assert_equal(&from, &to);
    assert_eq!(names(), 1, "only the file");
}

const PIECE: u64 = 20 << 20;

fn in_pieces() -> TransferOptions {
    TransferOptions {
        piece_bytes: PIECE,
        ..TransferOptions::default()
    }
}

async fn put_in_pieces(fs: &Fs, local: &Path, remote: &str) -> Summary {
    let progress = Arc::new(Progress::default());
    let target = at(remote);
    let put = fs.put_tree(local, &target, in_pieces(), progress);
    put.await.unwrap()
}

/// Names in the directory `/` of the cluster.
async fn names(fs: &Fs) -> Vec<String> {
    let page = fs.list(&at("/"), When::Head, &[], 0).await.unwrap().value;
    let name = |entry: &dfs_fs::Entry| String::from_utf8_lossy(&entry.name).into_owned();
    page.entries.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_put_goes_on_where_it_was_cut_off() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, 3 * PIECE as usize + 5, 0o640);
    set_times(&from, 1_000_000_000, 7);
    let (progress, target) = (Arc::new(Progress::default()), at("/f"));
    {
        let mut first = std::pin::pin!(fs.put_tree(&from, &target, in_pieces(), progress.clone()));
        // Cut off in its second piece: the first is durable.
        while progress.counts().bytes <= PIECE {
            tokio::select! {
                biased;
                ended = &mut first => panic!("not cut off: {ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    let left = names(&fs).await;
    assert!(
        left.len() == 1 && left[0].starts_with(".dfs-unfinished-"),
        "{left:?}"
    );

    let second = put_in_pieces(&fs, &from, "/f").await;
    assert!(second.failures.is_empty(), "{:?}", second.failures);
    let (moved, kept) = (second.counts.bytes, second.counts.skipped_bytes);
    assert!(kept >= PIECE && kept % PIECE == 0, "{kept}");
    assert_eq!(moved + kept, 3 * PIECE + 5);
    assert_eq!(names(&fs).await, ["f"]);
    get(&fs, "/f", &to).await;
    assert_equal(&from, &to);
    // What is left of one that was interrupted after its file was whole goes with the next.
    let again = dfs_fs::source_of(fs::read(&from).unwrap());
    fs.write(&at(&format!("/{}", left[0])), again, Default::default())
        .await
        .unwrap();
    assert_eq!(put_in_pieces(&fs, &from, "/f").await.counts.bytes, 0);
    assert_eq!(names(&fs).await, ["f"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_another_file_is_not_gone_on_with() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, PIECE as usize + 5, 0o640);
    let unfinished = format!("/.dfs-unfinished-{:08x}", dfs_extents::crc32c(b"f"));
    let other = dfs_fs::source_of(vec![7u8; 100_000]);
    fs.write(&at(&unfinished), other, Default::default())
        .await
        .unwrap();
    let summary = put_in_pieces(&fs, &from, "/f").await;
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    assert_eq!(
        (summary.counts.bytes, summary.counts.skipped_bytes),
        (PIECE + 5, 0)
    );
    get(&fs, "/f", &to).await;
    assert_equal(&from, &to);
    assert_eq!(names(&fs).await, ["f"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_get_goes_on_behind_the_last_whole_extent() {
    const EXTENT: u64 = 8 << 20;
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, 3 * PIECE as usize, 0o640);
    put_in_pieces(&fs, &from, "/f").await;
    let left = dfs_fs::transfer::unfinished(&to);
    let (whole, source) = (fs::read(&from).unwrap(), at("/f"));
    let got = |damaged: Option<usize>| {
        let (fs, to, from) = (fs.clone(), to.clone(), from.clone());
        let _ = fs::remove_file(&left);
        let mut part = whole[..(2 * EXTENT + 77) as usize].to_vec();
        damaged.into_iter().for_each(|at| part[at] ^= 1);
        fs::write(&left, part).unwrap();
        let _ = fs::remove_file(&to);
        async move {
            let progress = Arc::new(Progress::default());
            let target = at("/f");
            let get = fs.get_tree(&target, When::Head, &to, in_pieces(), progress);
            let summary = get.await.unwrap();
            assert!(summary.failures.is_empty(), "{:?}", summary.failures);
            assert_equal(&from, &to);
            (summary.counts.bytes, summary.counts.skipped_bytes)
        }
    };
    assert_eq!(got(None).await, (3 * PIECE - 2 * EXTENT, 2 * EXTENT));
    let in_the_second = EXTENT as usize + 3;
    assert_eq!(got(Some(in_the_second)).await, (3 * PIECE - EXTENT, EXTENT));
    // Somebody else's name for it: it is not written to.
    let other = dir.path().join("other");
    fs::write(&other, &whole[..EXTENT as usize]).unwrap();
    let _ = fs::remove_file(&to);
    fs::hard_link(&other, &left).unwrap();
    let progress = Arc::new(Progress::default());
    let get = fs.get_tree(&source, When::Head, &to, in_pieces(), progress);
    assert_eq!(get.await.unwrap().counts.skipped_bytes, 0);
    assert_eq!(fs::metadata(&other).unwrap().len(), EXTENT);
    assert_equal(&from, &to);
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_does_not_fit_is_counted() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("from")).unwrap();
    write(&dir.path().join("from/late"), 3, 0o644);
    set_times(&dir.path().join("from/late"), 10_413_792_000, 0);
    let summary = put(&fs, &dir.path().join("from"), "/t", Skip::Nothing).await;
    assert_eq!((summary.counts.times_cut, summary.counts.failed), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_leaves_no_file() {
    let cluster = Cluster::new();
    let (fs, dir) = (cluster.fs().await, tempfile::tempdir().unwrap());
    let from = dir.path().join("from");
    write(&from, 100_000, 0o644);
    put(&fs, &from, "/f", Skip::Nothing).await;
    for extent in cluster.unit.extents.lock().values_mut() {
        let mut bytes = extent.to_vec();
        bytes[70_000] ^= 4;
        *extent = bytes.into();
    }
    let to = dir.path().join("to");
    let summary = get(&fs, "/f", &to).await;
    assert_eq!(summary.failures[0].refusal.code(), Code::Lost);
    assert!(!to.exists() && fs::read_dir(dir.path()).unwrap().count() == 1);
}
