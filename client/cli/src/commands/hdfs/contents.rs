//! `-cat`, `-head`, `-tail`, `-put`, `-get`, `-getmerge`, `-appendToFile`: bytes in and out.
use super::names::target;
use super::words::{Words, not_enough};
use super::{Complaint, Path, Told, complain, complaint};
use crate::call::{Call, Place};
use crate::commands::cat::copy_range;
use crate::failure::Failure;
use crate::local::{self, Local};
use crate::quote;
use crate::walk::Listing;
use dfs_fs::transfer::{Progress, Skip, Summary, TransferOptions};
use dfs_fs::{AppendOptions, WriteOptions};
use futures::TryStreamExt;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What `-head` and `-tail` show.
const END_BYTES: u64 = 1024;
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// A file, at the LSN it was looked at.
async fn file(path: &Path) -> Told<(Place, u64)> {
    let seen = path.stat().await?;
    match seen.is_file() {
        true => Ok((path.place.pinned(seen.lsn), seen.size)),
        false => Err(Complaint::of(format!("`{}': Is a directory", path.shown))),
    }
}

pub(super) async fn cat(call: &Call, name: &str, mut words: Words) -> Told {
    words.options(&["ignoreCrc"])?;
    let paths = words.paths()?;
    call.hdfs_each(name, &paths, |path| async move {
        let (place, _) = file(&path).await?;
        Ok(copy_range(call, &place, None).await?)
    })
    .await
}

pub(super) async fn end(call: &Call, name: &str, mut words: Words) -> Told {
    let follow = !words.options(&["f", "s"])?.is_empty() && name == "tail";
    let paths = words.paths()?;
    call.hdfs_each(name, &paths, |path| async move {
        let (place, size) = file(&path).await?;
        let from = size.saturating_sub(END_BYTES);
        let range = if name == "head" {
            0..END_BYTES
        } else {
            from..size
        };
        if !follow {
            return Ok(copy_range(call, &place, Some(range)).await?);
        }
        let mut bytes = path.place.fs.follow(&path.place.at, from, FOLLOW_EVERY);
        while let Some(bytes) = bytes.try_next().await.map_err(path.refused())? {
            call.output.raw(&bytes)?;
            call.output.flush()?;
        }
        Ok(())
    })
    .await
}

/// Equal size and time say nothing of the bytes, and what was moved is deleted here.
fn options() -> TransferOptions {
    TransferOptions {
        skip: Skip::Nothing,
        ..TransferOptions::default()
    }
}

/// The first failure stands for the rest.
fn whole(summary: Summary) -> Told {
    let failed = summary.failures.first();
    let failed = failed.map(|failure| complaint(&failure.remote.to_string(), &failure.refusal));
    let stopped = summary.stopped.map(|refusal| complaint("/", &refusal));
    match failed.or(stopped) {
        None => Ok(()),
        Some(told) => Err(told),
    }
}

pub(super) async fn put(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["f", "p", "l", "d"])?;
    let force = options.iter().any(|option| option == "f");
    let (sources, last) = words.paths_and_target()?;
    let (target, into) = target(call, &last, sources.len() > 1).await?;
    for source in &sources {
        let put = put_one(call, source, &target, into, force).await;
        let done = match put {
            Ok(()) if name == "moveFromLocal" => gone(call, source).await,
            put => put,
        };
        if let Err(told) = done {
            complain(call, name, &told);
        }
    }
    Ok(())
}

async fn put_one(call: &Call, source: &OsStr, target: &Path, into: bool, force: bool) -> Told {
    let fs = &target.place.fs;
    let path = match Local::parse(source) {
        Local::Path(path) => path,
        standard => {
            let bytes = local::source(call, &standard).await?;
            let options = WriteOptions {
                create_only: !force,
                ..WriteOptions::default()
            };
            let written = fs.write(&target.place.at, bytes, options).await;
            return written.map(drop).map_err(target.refused());
        }
    };
    std::fs::symlink_metadata(&path).map_err(|e| not_there(source, &e))?;
    let name = local::name_of(&path)?;
    let to = match into {
        true => target.join(name.as_bytes())?,
        false => Path {
            shown: target.shown.clone(),
            place: target.place.clone(),
        },
    };
    if !force && to.find().await?.is_some() {
        return Err(Complaint::exists(&to.shown));
    }
    let parent = to.place.at.parent().filter(|parent| !parent.is_root());
    if let Some(parent) = parent {
        // put would make it; HDFS does not.
        let found = fs.stat(&parent, to.place.when).await;
        found.map_err(to.refused())?;
    }
    let progress = Arc::new(Progress::default());
    let put = fs.put_tree(&path, &to.place.at, options(), progress);
    whole(Box::pin(put).await.map_err(to.refused())?)
}

fn not_there(source: &OsStr, error: &std::io::Error) -> Complaint {
    let shown = quote::shown(source.as_bytes());
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Complaint::of(format!("`{shown}': No such file or directory"))
        }
        _ => Complaint::of(format!("`{shown}': {error}")),
    }
}

/// The local source of what was moved.
async fn gone(call: &Call, source: &OsStr) -> Told {
    let Local::Path(path) = Local::parse(source) else {
        return Ok(());
    };
    let removed = call
        .env
        .blocking(move || match path.is_dir() && !path.is_symlink() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        });
    removed.await.map_err(|e| not_there(source, &e))
}

pub(super) async fn get(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["f", "p", "ignoreCrc", "crc"])?;
    let force = options.iter().any(|option| option == "f");
    let mut paths = words.paths()?;
    let last = if paths.len() > 1 { paths.pop() } else { None };
    let target = Local::parse(&last.unwrap_or_else(|| OsString::from(".")));
    let target = &target;
    call.hdfs_each(name, &paths, |path| async move {
        let Local::Path(target) = target else {
            let (place, _) = file(&path).await?;
            return Ok(copy_range(call, &place, None).await?);
        };
        get_one(&path, target.clone(), force).await
    })
    .await
}

async fn get_one(path: &Path, target: PathBuf, force: bool) -> Told {
    let seen = path.stat().await?;
    let name = OsStr::from_bytes(path.place.at.name().unwrap_or_default());
    let to = if target.is_dir() {
        target.join(name)
    } else {
        target
    };
    if !force && to.symlink_metadata().is_ok() {
        return Err(Complaint::exists(&quote::shown(to.as_os_str().as_bytes())));
    }
    let progress = Arc::new(Progress::default());
    let place = path.place.pinned(seen.lsn);
    let got = place
        .fs
        .get_tree(&place.at, place.when, &to, options(), progress);
    whole(Box::pin(got).await.map_err(path.refused())?)
}

/// All files of a directory, in the order of their names, as one local file.
pub(super) async fn getmerge(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["nl", "skip-empty-file"])?;
    let has = |option: &str| options.iter().any(|o| o == option);
    let (lines, skip_empty) = (has("nl"), has("skip-empty-file"));
    let (sources, last) = words.paths_and_target()?;
    let Local::Path(target) = Local::parse(&last) else {
        return Err(not_enough());
    };
    let failed = |e: &std::io::Error| Complaint::from(Failure::local("write", &target, e));
    let mut file = std::fs::File::create(&target).map_err(|e| failed(&e))?;
    for source in &sources {
        for path in call.hdfs_paths(source).await? {
            for part in parts(path).await? {
                let (place, size) = self::file(&part).await?;
                if size == 0 && skip_empty {
                    continue;
                }
                let reading = place.fs.read(&place.at, place.when, None).await;
                let mut bytes = reading.map_err(part.refused())?.bytes;
                while let Some(bytes) = bytes.try_next().await.map_err(part.refused())? {
                    file.write_all(&bytes).map_err(|e| failed(&e))?;
                }
                if lines {
                    file.write_all(b"\n").map_err(|e| failed(&e))?;
                }
            }
        }
    }
    Ok(())
}

async fn parts(path: Path) -> Told<Vec<Path>> {
    if !path.stat().await?.is_directory() {
        return Ok(vec![path]);
    }
    let entries = Listing::new(&path.place).all().await?;
    let files = entries.iter().filter(|entry| entry.is_file());
    files.map(|entry| path.join(&entry.name)).collect()
}

pub(super) async fn append(call: &Call, mut words: Words) -> Told {
    words.options(&["n"])?;
    let (sources, last) = words.paths_and_target()?;
    let target = call.hdfs_path(&last).await?;
    let mut missing = target.find().await?.is_none();
    for source in &sources {
        let local = Local::parse(source);
        if let Local::Path(path) = &local {
            std::fs::metadata(path).map_err(|e| not_there(source, &e))?;
        }
        let bytes = local::source(call, &local).await?;
        let (fs, at) = (&target.place.fs, &target.place.at);
        let done = match std::mem::take(&mut missing) {
            true => fs.write(at, bytes, WriteOptions::default()).await,
            false => fs.append(at, bytes, AppendOptions::default()).await,
        };
        done.map_err(target.refused())?;
    }
    Ok(())
}
