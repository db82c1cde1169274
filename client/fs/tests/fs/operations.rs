//! Single operations: contents inline and in extents, ranges, listings, walks.

use bytes::Bytes;
use dfs_fs::{Address, Code, Fs, Kind, Seen, Usage, When, WriteOptions, source_of};
use futures::TryStreamExt;

use crate::fake::{Cluster, INLINE_MAX};

fn at(path: &str) -> Address {
    Address::new(path).unwrap()
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

async fn write(fs: &Fs, path: &str, content: Bytes) {
    fs.write(&at(path), source_of(content), WriteOptions::default())
        .await
        .unwrap();
}

async fn read(fs: &Fs, path: &str, range: Option<std::ops::Range<u64>>) -> Bytes {
    let reading = fs.read(&at(path), When::Head, range).await.unwrap();
    reading.collect().await.unwrap()
}

#[tokio::test]
async fn small_contents_ride_in_the_record_and_large_ones_in_extents() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    let inline = INLINE_MAX as usize;
    for (length, extents) in [(0, 0), (inline, 0), (inline + 1, 1), (9 << 20, 2)] {
        let content = bytes(length);
        write(&fs, "/f", content.clone()).await;
        let entry = fs.stat(&at("/f"), When::Head).await.unwrap();
        assert_eq!((entry.size, entry.extents), (length as u64, extents));
        assert!(read(&fs, "/f", None).await == content, "length {length}");
        let (from, to) = (length / 3, length / 3 + 100_000);
        let part = read(&fs, "/f", Some(from as u64..to as u64)).await;
        assert!(
            part == content.slice(from..to.min(length)),
            "length {length}"
        );
    }
}

#[tokio::test]
async fn a_record_with_another_checksum_than_the_bytes_is_never_believed() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    for length in [100, 100_000] {
        write(&fs, "/f", bytes(length)).await;
        {
            let mut state = cluster.state.lock();
            let node = state.namespace.nodes.get_mut(&b"f"[..]).unwrap();
            node.content.crc32c ^= 1;
        }
        let refusal = match fs.read(&at("/f"), When::Head, None).await {
            Ok(reading) => reading.collect().await.unwrap_err(),
            Err(refusal) => refusal,
        };
        assert_eq!(refusal.code(), Code::Corrupt, "length {length}");
    }
}

/// What a truncate in the middle of an extent leaves: no checksum of the whole, and the extents' own.
#[tokio::test]
async fn a_file_that_was_cut_inside_an_extent_is_read_and_summed() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    write(&fs, "/f", bytes(100_000)).await;
    let cut = |size: u64| {
        let mut state = cluster.state.lock();
        let content = &mut state.namespace.nodes.get_mut(&b"f"[..]).unwrap().content;
        (content.size, content.crc32c) = (size, 0);
        content.extents[0].length = 70_001;
    };
    cut(70_001);
    let left = bytes(100_000).slice(..70_001);
    assert!(read(&fs, "/f", None).await == left);
    let summed = fs.checksum(&at("/f"), When::Head).await.unwrap();
    assert_eq!(summed.crc32c, dfs_extents::crc32c(&left));
    cut(70_002);
    let reading = fs.read(&at("/f"), When::Head, None).await.unwrap();
    assert_eq!(reading.collect().await.unwrap_err().code(), Code::Corrupt);
}

#[tokio::test]
async fn a_source_that_fails_commits_nothing() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    let broken = dfs_fs::Refusal::new(Code::Denied, "the source", "it broke");
    let parts = [Ok(bytes(100_000)), Err(broken)];
    let source = Box::pin(futures::stream::iter(parts));
    let refusal = fs
        .write(&at("/f"), source, WriteOptions::default())
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::Denied);
    assert!(!fs.test(&at("/f"), When::Head, None).await.unwrap());
}

#[tokio::test]
async fn listings_walks_and_sums_see_everything_once() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    for directory in ["/d", "/d/a", "/d/b", "/d/b/c"] {
        fs.mkdir(&at(directory), None, true).await.unwrap();
    }
    for number in 0..2100 {
        write(&fs, &format!("/d/b/{number:04}"), bytes(10)).await;
    }
    fs.symlink(&at("/d/b/c/l"), "../nowhere", false)
        .await
        .unwrap();
    let listed: Vec<Seen<dfs_fs::Entry>> = fs
        .list_all(&at("/d/b"), When::Head)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 2101);
    assert!(listed.windows(2).all(|pair| pair[0].name < pair[1].name));
    let walked: Vec<_> = fs.walk(&at("/d"), When::Head).try_collect().await.unwrap();
    let mut paths: Vec<String> = walked.iter().map(|w| w.address.to_string()).collect();
    let directories: Vec<_> = paths.iter().position(|p| p == "/d/b").into_iter().collect();
    assert!(directories[0] < paths.iter().position(|p| p == "/d/b/c").unwrap());
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 2100 + 4);
    let usage = fs.du(&at("/d"), When::Head).await.unwrap().value;
    assert_eq!(
        usage,
        Usage {
            files: 2100,
            directories: 4,
            symlinks: 1,
            bytes: 21_000
        }
    );
}

#[tokio::test]
async fn equal_trees_have_equal_checksums_wherever_they_stand() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    for top in ["/x", "/y/z"] {
        fs.mkdir(&at(&format!("{top}/d")), None, true)
            .await
            .unwrap();
        write(&fs, &format!("{top}/d/f"), bytes(20_000)).await;
    }
    let sum = async |path| fs.checksum(&at(path), When::Head).await.unwrap().value;
    assert_eq!(sum("/x").await, sum("/y/z").await);
    write(&fs, "/x/d/f", bytes(20_001)).await;
    assert_ne!(sum("/x").await, sum("/y/z").await);
    assert_eq!(
        sum("/x/d/f").await.crc32c,
        dfs_extents::crc32c(&bytes(20_001))
    );
}

#[tokio::test]
async fn kinds_are_told_apart_before_anything_is_read() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    fs.symlink(&at("/l"), b"\xff/target", false).await.unwrap();
    assert_eq!(
        fs.read_link(&at("/l"), When::Head).await.unwrap().value,
        &b"\xff/target"[..]
    );
    assert!(
        fs.test(&at("/l"), When::Head, Some(Kind::Symlink))
            .await
            .unwrap()
    );
    assert!(
        !fs.test(&at("/l"), When::Head, Some(Kind::File))
            .await
            .unwrap()
    );
    let refusal = fs.read(&at("/"), When::Head, None).await.err().unwrap();
    assert_eq!(refusal.code(), Code::WrongKind);
    let refusal = fs.rename(&at("/a"), &at("/a/b"), false).await.unwrap_err();
    assert_eq!(refusal.code(), Code::WrongKind);
    assert_eq!(
        cluster.count("mutate"),
        1,
        "what is wrong in itself is not sent"
    );
}

#[tokio::test(start_paused = true)]
async fn follow_shows_what_is_appended() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    write(&fs, "/f", Bytes::from_static(b"one ")).await;
    let mut follow = fs.follow(&at("/f"), 0, std::time::Duration::from_secs(1));
    assert_eq!(follow.try_next().await.unwrap().unwrap(), "one ");
    let options = dfs_fs::AppendOptions::default();
    fs.append(&at("/f"), source_of("two"), options)
        .await
        .unwrap();
    assert_eq!(follow.try_next().await.unwrap().unwrap(), "two");
    fs.remove(&at("/f"), false).await.unwrap();
    assert_eq!(follow.try_next().await.unwrap_err().code(), Code::NotFound);
}

/// What was refused by the primary tells of a change as well as what was done.
#[tokio::test]
async fn a_refusal_tells_of_a_change_of_settings() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    write(&fs, "/f", bytes(1)).await;
    let kept = cluster.count("keep");
    cluster.state.lock().settings_lsn = 9;
    fs.remove(&at("/none"), false).await.unwrap_err();
    write(&fs, "/f", bytes(2)).await;
    assert_eq!(
        cluster.count("keep"),
        kept + 1,
        "the settings are asked for"
    );
}

/// A version is what a stat of the entry says, not the LSN at which the answer was true.
#[tokio::test]
async fn a_mutation_under_a_condition_is_done_only_over_the_version_named() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    let none = fs.with_if_lsn(Some(0));
    let options = WriteOptions::default;
    let made = none.write(&at("/f"), source_of("one"), options()).await;
    let version = made.unwrap().lsn;
    write(&fs, "/other", bytes(3)).await;
    let again = none.write(&at("/f"), source_of("two"), options()).await;
    assert_eq!(again.unwrap_err().code(), Code::Conflict);
    assert_eq!(
        fs.stat(&at("/f"), When::Head).await.unwrap().value.lsn,
        version
    );
    let this = fs.with_if_lsn(Some(version));
    let append = async |fs: &Fs, more: Bytes| {
        let options = dfs_fs::AppendOptions::default();
        fs.append(&at("/f"), source_of(more), options).await
    };
    append(&this, Bytes::from_static(b" more")).await.unwrap();
    let refused = append(&this, Bytes::from_static(b" again")).await;
    assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    let refused = this.remove(&at("/f"), false).await;
    assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    assert_eq!(read(&fs, "/f", None).await, "one more");
}

/// The file is moved to extents on the way, over the version asked for; others change other files meanwhile.
#[tokio::test]
async fn bytes_too_many_for_the_record_are_appended_to_a_file_that_lies_in_it() {
    let cluster = Cluster::new();
    let fs = cluster.fs().await;
    write(&fs, "/f", Bytes::from_static(b"one")).await;
    let version = fs.stat(&at("/f"), When::Head).await.unwrap().value.lsn;
    write(&fs, "/other", bytes(3)).await;
    let more = bytes(INLINE_MAX as usize + 1);
    let options = dfs_fs::AppendOptions::default;
    let (this, f) = (fs.with_if_lsn(Some(version)), at("/f"));
    let append = || this.append(&f, source_of(more.clone()), options());
    append().await.unwrap();
    assert_eq!(append().await.unwrap_err().code(), Code::Conflict);
    let whole = [b"one", &more[..]].concat();
    assert!(read(&fs, "/f", None).await == whole);
}
