//! `-mkdir`, `-rm`, `-rmdir`, `-mv`, `-cp`, `-touchz`, `-truncate`, `-chmod`, `-chown`, `-chgrp`: names and
//! what stands by them.
use super::words::Words;
use super::{Complaint, Path, Told, complain, complaint};
use crate::attributes;
use crate::call::Call;
use crate::figures::parse_bytes;
use crate::mode::Mode;
use crate::owner::{Owner, parse_group};
use dfs_fs::compare::Side;
use dfs_fs::transfer::{Progress, SyncOptions, sync};
use dfs_fs::{AttrChange, Entry, WriteOptions, source_of};
use std::ffi::OsString;
use std::sync::Arc;

pub(super) async fn mkdir(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["p"])?;
    let parents = !options.is_empty();
    for word in words.paths()? {
        let path = call.hdfs_path(&word).await?;
        let made = path.place.fs.mkdir(&path.place.at, None, parents).await;
        tell(call, "mkdir", made.map(drop).map_err(path.refused()));
    }
    Ok(())
}

/// Of several, the rest goes on.
fn tell(call: &Call, name: &str, done: Told) {
    if let Err(told) = done {
        complain(call, name, &told);
    }
}

pub(super) async fn rm(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["r", "R", "f", "skipTrash", "safely", "i"])?;
    let has = |option: &str| options.iter().any(|o| o == option);
    let recursive = has("r") || has("R") || name == "rmr";
    for word in words.paths()? {
        let paths = match call.hdfs_paths(&word).await {
            Err(told) if told.absent && has("f") => continue,
            paths => paths,
        };
        let paths = match paths {
            Ok(paths) => paths,
            Err(told) => {
                tell(call, name, Err(told));
                continue;
            }
        };
        for path in paths {
            match path.find().await {
                Ok(None) if has("f") => {}
                _ => tell(call, name, remove(call, &path, recursive).await),
            }
        }
    }
    Ok(())
}

async fn remove(call: &Call, path: &Path, recursive: bool) -> Told {
    if path.stat().await?.is_directory() && !recursive {
        return Err(Complaint::of(format!("`{}': Is a directory", path.shown)));
    }
    let removed = path.place.fs.remove(&path.place.at, recursive).await;
    removed.map_err(path.refused())?;
    call.hdfs_line(&format!("Deleted {}", path.shown))
}

pub(super) async fn rmdir(call: &Call, mut words: Words) -> Told {
    const IGNORE: &str = "-ignore-fail-on-non-empty";
    let ignore = !words.options(&[IGNORE])?.is_empty();
    let paths = words.paths()?;
    call.hdfs_each("rmdir", &paths, |path| async move {
        let seen = path.stat().await?;
        if !seen.is_directory() {
            return Err(Complaint::of(format!(
                "`{}': Is not a directory",
                path.shown
            )));
        }
        if seen.children > 0 && ignore {
            return Ok(());
        }
        let removed = path.place.fs.remove(&path.place.at, false).await;
        removed.map(drop).map_err(path.refused())
    })
    .await
}

/// Where the sources go: into a directory that is there, else to the new name, of one source only.
pub(super) async fn target(call: &Call, word: &OsString, several: bool) -> Told<(Path, bool)> {
    let target = call.hdfs_path(word).await?;
    let found = target.find().await?;
    match found {
        Some(entry) if entry.is_directory() => Ok((target, true)),
        Some(_) if several => Err(Complaint::of(format!(
            "`{}': Is not a directory",
            target.shown
        ))),
        None if several => Err(Complaint::of(format!(
            "`{}': No such file or directory",
            target.shown
        ))),
        _ => Ok((target, false)),
    }
}

fn in_target(from: &Path, target: &Path, into: bool) -> Told<Path> {
    let name = from.place.at.name().unwrap_or_default();
    match into {
        true => target.join(name),
        false => Ok(Path {
            shown: target.shown.clone(),
            place: target.place.clone(),
        }),
    }
}

pub(super) async fn mv(call: &Call, mut words: Words) -> Told {
    words.options(&[])?;
    let (sources, last) = words.paths_and_target()?;
    let (target, into) = &target(call, &last, sources.len() > 1).await?;
    call.hdfs_each("mv", &sources, |from| async move {
        from.stat().await?;
        let to = in_target(&from, target, *into)?;
        let moved = from
            .place
            .fs
            .rename(&from.place.at, &to.place.at, true)
            .await;
        moved.map(drop).map_err(to.refused())
    })
    .await
}

pub(super) async fn cp(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["f", "p", "d", "t"])?;
    let force = options.iter().any(|option| option == "f");
    let (sources, last) = words.paths_and_target()?;
    let (target, into) = &target(call, &last, sources.len() > 1).await?;
    call.hdfs_each("cp", &sources, |from| async move {
        let seen = from.stat().await?;
        let to = in_target(&from, target, *into)?;
        if seen.is_directory() {
            if !force && to.find().await?.is_some() {
                return Err(Complaint::exists(&to.shown));
            }
            return copy_tree(call, &from, &to).await;
        }
        let (fs, when) = (&from.place.fs, from.place.when);
        let copied = fs.copy(&from.place.at, when, &to.place.at, !force).await;
        copied.map(drop).map_err(to.refused())
    })
    .await
}

async fn copy_tree(call: &Call, from: &Path, to: &Path) -> Told {
    let side = |path: &Path| {
        let place = &path.place;
        Side::Remote(place.fs.clone(), place.at.clone(), place.when)
    };
    if from.place.at.contains(&to.place.at) {
        let why = format!(
            "Cannot copy a directory to its subdirectory: `{}'",
            to.shown
        );
        return Err(Complaint::of(why));
    }
    let progress = Arc::new(Progress::default());
    let options = SyncOptions {
        checksum: true, // both are known, and equal times say nothing of the bytes
        ..SyncOptions::default()
    };
    let copying = sync(&call.env, side(from), side(to), options, progress);
    let summary = Box::pin(copying).await.map_err(to.refused())?;
    match summary.failures.first() {
        None => Ok(()),
        Some(failure) => Err(complaint(&failure.remote.to_string(), &failure.refusal)),
    }
}

pub(super) async fn touch(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["a", "m", "c"])?;
    let no_create = options.iter().any(|option| option == "c");
    let now_ns = i64::try_from(call.env.wall_us())
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    for word in words.paths()? {
        let path = call.hdfs_path(&word).await?;
        let done = match path.find().await? {
            None if no_create => Ok(()),
            None => make_empty(&path).await,
            Some(entry) if name == "touchz" && (entry.size > 0 || !entry.is_file()) => {
                let why = if entry.is_directory() {
                    "Is a directory"
                } else {
                    "Not a zero-length file"
                };
                Err(Complaint::of(format!("`{}': {why}", path.shown)))
            }
            Some(_) => {
                let change = AttrChange {
                    mtime_ns: Some(now_ns),
                    ..AttrChange::default()
                };
                let set = path.place.fs.set_attr(&path.place.at, change).await;
                set.map(drop).map_err(path.refused())
            }
        };
        tell(call, name, done);
    }
    Ok(())
}

async fn make_empty(path: &Path) -> Told {
    let options = WriteOptions::default();
    let made = path
        .place
        .fs
        .write(&path.place.at, source_of(Vec::new()), options)
        .await;
    made.map(drop).map_err(path.refused())
}

pub(super) async fn truncate(call: &Call, mut words: Words) -> Told {
    words.options(&["w"])?;
    let length = parse_bytes(&words.argument()?).map_err(Complaint::usage)?;
    let paths = words.paths()?;
    call.hdfs_each("truncate", &paths, |path| async move {
        let cut = path.place.fs.truncate(&path.place.at, length).await;
        cut.map_err(path.refused())?;
        call.hdfs_line(&format!("Truncated {} to length: {length}", path.shown))
    })
    .await
}

/// What `-chmod`, `-chown` and `-chgrp` set.
enum Change {
    Mode(Mode),
    Owner(Owner),
}

impl Change {
    fn parse(name: &str, text: &str) -> Result<Change, String> {
        Ok(match name {
            "chmod" => Change::Mode(text.parse()?),
            "chown" => Change::Owner(text.parse()?),
            _ => Change::Owner(Owner {
                uid: None,
                gid: Some(parse_group(text)?),
            }),
        })
    }

    fn of(&self, entry: &Entry) -> AttrChange {
        match self {
            Change::Mode(mode) => AttrChange {
                mode: Some(mode.apply(entry.mode, entry.is_directory())),
                ..AttrChange::default()
            },
            Change::Owner(owner) => AttrChange {
                uid: owner.uid,
                gid: owner.gid,
                ..AttrChange::default()
            },
        }
    }
}

pub(super) async fn change(call: &Call, name: &str, mut words: Words) -> Told {
    // A mode may look like an option: -w.
    let recursive = words.first_is(|word| word == "-R") && !words.options(&["R"])?.is_empty();
    let change = &Change::parse(name, &words.argument()?).map_err(Complaint::usage)?;
    let paths = words.paths()?;
    call.hdfs_each(name, &paths, |path| async move {
        let seen = path.stat().await?;
        let wanted = |entry: &Entry| change.of(entry);
        attributes::change(call, &path.place, &seen, recursive, false, wanted).await?;
        Ok(())
    })
    .await
}
