//! The suite that every `Disk` passes: the real directory and the simulated disk alike.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskFile, OpenMode};

/// Runs the whole suite on an empty disk; panics where the disk departs from the contract.
pub async fn check_disk(disk: Arc<dyn Disk>) {
    names_are_checked(&*disk).await;
    modes_are_obeyed(&*disk).await;
    reads_return_what_was_written(&*disk).await;
    lengths_and_holes(&*disk).await;
    names_move(&*disk).await;
    small_files_are_replaced(&*disk).await;
    later_writes_win(&*disk).await;
    let space = disk.space().await.expect("space");
    assert!(space.available <= space.total && space.total > 0);
    assert!((64 << 20..=1 << 30).contains(&space.headroom()));
}

async fn kind<T>(result: impl Future<Output = std::io::Result<T>>) -> Option<ErrorKind> {
    result.await.err().map(|e| e.kind())
}

async fn fresh(disk: &dyn Disk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(name, OpenMode::CreateNew)
        .await
        .expect("a new file")
}

async fn read(file: &dyn DiskFile, offset: u64, len: usize) -> Bytes {
    file.read_at(offset, len).await.expect("a readable file")
}

async fn names_are_checked(disk: &dyn Disk) {
    for name in [
        "", ".", "..", "../a", "/a", "a/", "a/../b", "a/b/c", ".hidden", "a b", "ä",
    ] {
        let opened = kind(disk.open(name, OpenMode::OpenOrCreate)).await;
        assert_eq!(opened, Some(ErrorKind::InvalidInput), "{name:?}");
    }
    assert_eq!(disk.list().await.expect("list"), []);
}

async fn modes_are_obeyed(disk: &dyn Disk) {
    assert_eq!(
        kind(disk.open("modes", OpenMode::Existing)).await,
        Some(ErrorKind::NotFound)
    );
    fresh(disk, "modes").await;
    assert_eq!(
        kind(disk.open("modes", OpenMode::CreateNew)).await,
        Some(ErrorKind::AlreadyExists)
    );
    let existing = disk
        .open("modes", OpenMode::Existing)
        .await
        .expect("existing");
    existing
        .write_at(0, vec![Bytes::from_static(b"kept")])
        .await
        .expect("write");
    let again = disk
        .open("modes", OpenMode::OpenOrCreate)
        .await
        .expect("either");
    assert_eq!(read(&*again, 0, 9).await, "kept");
    disk.remove("modes").await.expect("remove");
    assert_eq!(kind(disk.remove("modes")).await, Some(ErrorKind::NotFound));
}

async fn reads_return_what_was_written(disk: &dyn Disk) {
    let file = fresh(disk, "d/data").await;
    assert_eq!(read(&*file, 0, 10).await, "");
    let bufs = ["ab", "", "cde", ""].map(Bytes::from);
    file.write_and_sync(4094, bufs.to_vec())
        .await
        .expect("write");
    assert_eq!(file.len().await.expect("len"), 4099);
    assert_eq!(read(&*file, 4092, 100).await, "\0\0abcde");
    assert_eq!(read(&*file, 4099, 1).await, "");
    assert_eq!(read(&*file, 1 << 40, 1).await, "");
    file.write_at(0, vec![]).await.expect("nothing to write");
    let many: Vec<Bytes> = (0..3000u32)
        .map(|i| Bytes::from(i.to_le_bytes().to_vec()))
        .collect();
    file.write_at(10_000, many.clone())
        .await
        .expect("more buffers than one system call takes");
    assert_eq!(read(&*file, 10_000, 12_000).await, many.concat());
    file.sync_data().await.expect("sync");
    disk.sync_dir().await.expect("sync of names");
}

async fn lengths_and_holes(disk: &dyn Disk) {
    let file = fresh(disk, "len").await;
    file.write_at(0, vec![vec![7; 20_000].into()])
        .await
        .expect("write");
    file.punch_hole(4096, 4096).await.expect("punch");
    assert_eq!(file.len().await.expect("len"), 20_000);
    assert_eq!(
        read(&*file, 4095, 4098).await,
        [&[7][..], &[0; 4096], &[7]].concat()
    );
    file.set_len(100).await.expect("cut");
    file.set_len(200).await.expect("extend");
    assert_eq!(read(&*file, 99, 1000).await, [&[7][..], &[0; 100]].concat());
    let zeroed = fresh(disk, "zeroed").await;
    zeroed.allocate_zeroed(100_000).await.expect("allocate");
    assert_eq!(read(&*zeroed, 0, 200_000).await, vec![0; 100_000]);
    zeroed
        .write_and_sync(99_999, vec![Bytes::from_static(b"x")])
        .await
        .expect("write inside");
    assert_eq!(zeroed.len().await.expect("len"), 100_000);
}

async fn names_move(disk: &dyn Disk) {
    let file = fresh(disk, "from").await;
    file.write_at(0, vec![Bytes::from_static(b"1")])
        .await
        .expect("write");
    fresh(disk, "e/to").await;
    disk.rename("from", "e/to")
        .await
        .expect("rename over another");
    assert_eq!(
        kind(disk.rename("from", "to")).await,
        Some(ErrorKind::NotFound)
    );
    disk.sync_dir().await.expect("sync of names");
    let moved = disk.open("e/to", OpenMode::Existing).await.expect("moved");
    assert_eq!(read(&*moved, 0, 2).await, "1");
    let listed = disk.list().await.expect("list");
    let names: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["d/data", "e/to", "len", "zeroed"]);
    assert_eq!(listed[3].len, 100_000);
}

async fn small_files_are_replaced(disk: &dyn Disk) {
    assert_eq!(disk.read_small("IDENTITY").await.expect("read"), None);
    for text in ["first and longer", "second", ""] {
        disk.replace_small("IDENTITY", text.into())
            .await
            .expect("replace");
        assert_eq!(
            disk.read_small("IDENTITY").await.expect("read"),
            Some(text.into())
        );
    }
    let too_large = disk.replace_small("IDENTITY", vec![0; (1 << 20) + 1].into());
    assert_eq!(kind(too_large).await, Some(ErrorKind::InvalidInput));
    disk.replace_small("s/IDENTITY", "in a directory".into())
        .await
        .expect("replace");
    assert_eq!(disk.list().await.expect("list").len(), 6);
}

/// E3, with many writes under way at once.
async fn later_writes_win(disk: &dyn Disk) {
    let file = fresh(disk, "order").await;
    let writes = (0..100u8).map(|i| file.write_and_sync(0, vec![vec![i; 5000].into()]));
    let mut under_way: Vec<_> = writes.collect();
    std::future::poll_fn(|cx| {
        under_way.retain_mut(|write| match write.as_mut().poll(cx) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(written) => {
                written.expect("write");
                false
            }
        });
        if under_way.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    assert_eq!(read(&*file, 0, 5000).await, vec![99; 5000]);
}
