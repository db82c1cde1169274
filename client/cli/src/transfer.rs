//! What put, get and sync share: how they are tuned, watched, and what they say in the end.
use crate::call::{Call, Place, say};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use crate::progress::{EVERY, Reached, Watcher};
use crate::quote;
use crate::wrote::Wrote;
use clap::ValueEnum;
use dfs_env::Env;
use dfs_fs::Refusal;
use dfs_fs::transfer::{Counts, Progress, Skip, Summary, TransferOptions};
use futures::FutureExt;
use serde_json::json;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

#[derive(clap::Args, Debug)]
pub(crate) struct Tuning {
    /// Files in flight at most
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// When a file that is there counts as equal and is left as it is
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    skip: SkipWhen,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SkipWhen {
    /// Same size and same mtime in ns
    #[default]
    Time,
    /// Same size and same checksum: every local byte is read
    Checksum,
    /// Never: everything is transferred
    Never,
}

impl Tuning {
    pub(crate) fn options(&self) -> TransferOptions {
        let default = TransferOptions::default();
        TransferOptions {
            jobs: self.jobs.map_or(default.jobs, usize::from),
            skip: match self.skip {
                SkipWhen::Time => Skip::SameSizeAndTime,
                SkipWhen::Checksum => Skip::SameChecksum,
                SkipWhen::Never => Skip::Nothing,
            },
            ..default
        }
    }
}

/// What a transfer would move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Waits for a transfer while its progress is shown. `total` runs beside it, where somebody watches:
/// it knows sooner than the transfer how much there is.
pub(crate) async fn watched(
    call: &Call,
    progress: &Progress,
    total: impl Future<Output = Outcome<Found>>,
    transfer: impl Future<Output = Result<Summary, Refusal>>,
) -> Outcome<Summary> {
    let watcher = Watcher::new(&call.globals, &call.request_id);
    let began = call.env.now();
    let (mut transfer, mut total) = (pin!(transfer), pin!(total.fuse()));
    let mut counted = !watcher.watches();
    let mut known = Found::default();
    let done = loop {
        tokio::select! {
            biased;
            done = &mut transfer => break done,
            found = &mut total, if !counted => {
                counted = true;
                // What cannot be counted is told by the transfer itself.
                known = found.unwrap_or_default();
            }
            () = call.env.sleep(EVERY) => {
                watcher.show(&reached(&progress.counts(), known), call.env.now() - began);
            }
        }
    };
    if let Ok(summary) = &done {
        watcher.show(&reached(&summary.counts, known), call.env.now() - began);
    }
    watcher.end();
    Ok(done?)
}

fn reached(counts: &Counts, known: Found) -> Reached {
    let total = |found, known| if counts.found_all { found } else { known };
    Reached {
        files: counts.files + counts.symlinks + counts.skipped_files,
        files_total: total(counts.found_files, known.files),
        bytes: counts.bytes + counts.skipped_bytes,
        bytes_total: total(counts.found_bytes, known.bytes),
        retries: counts.retries,
    }
}

/// `put /demo/photos  1,204 files 3.1 GiB in 12 s  lsn 1219`; or a failure for each that is missing,
/// and what there is nevertheless.
pub(crate) fn tell(
    call: &Call,
    kind: &'static str,
    did: &str,
    place: &Place,
    summary: &Summary,
    took: Duration,
) -> Outcome {
    let counts = &summary.counts;
    if counts.times_cut > 0 {
        let entries = figures::count(counts.times_cut, "entry has", "entries have");
        say(&format!(
            "warning: {entries} a time before 1677 or after 2262: stored with the nearest that fits"
        ));
    }
    let whole = counts.failed == 0 && summary.stopped.is_none();
    if !whole {
        tell_failures(call, did, summary);
        if !call.output.is_json() {
            in_part(call, did, place, summary, took);
            return Ok(());
        }
    }
    call.wrote(Wrote {
        kind,
        did,
        place,
        more: format!("  {}", sentence(counts, took)),
        fields: json!({
            "files": counts.files, "directories": counts.directories, "symlinks": counts.symlinks,
            "bytes": counts.bytes, "skipped_files": counts.skipped_files,
            "skipped_bytes": counts.skipped_bytes, "removed": counts.removed, "failed": counts.failed,
            "retries": counts.retries, "times_cut": counts.times_cut, "took_ms": took.as_millis() as u64,
        }),
        lsn: counts.lsn,
    })
}

fn tell_failures(call: &Call, did: &str, summary: &Summary) {
    let doing = match did {
        "got" => "get",
        "synced" => "sync",
        did => did,
    };
    let mut exit = Exit::Done;
    for failed in &summary.failures {
        let mut failure = Failure::from(failed.refusal.clone());
        let local = failed.local.display().to_string();
        let shown = quote::shown(failed.local.as_os_str().as_bytes());
        if failure.what == local {
            failure.what = format!("cannot {doing} {shown}");
        } else if !failure.what.contains(&local) {
            failure.what = format!("cannot {doing} {shown}: {}", failure.what);
        }
        exit = exit.worse(failure.exit);
        call.tell(&failure);
    }
    if let Some(refusal) = summary.stopped.as_ref().filter(|_| exit == Exit::Done) {
        let failure = Failure::from(refusal.clone());
        exit = failure.exit;
        call.tell(&failure);
    }
    call.verdict(verdict(exit, done_of(&summary.counts) > 0));
}

/// Some entries that are not as they should be leave the others whole; what every one of them would
/// have met, and what is damaged, goes first.
fn verdict(worst: Exit, some_done: bool) -> Exit {
    match worst {
        Exit::Done => Exit::Partial,
        Exit::NotFound | Exit::Conflict | Exit::Denied | Exit::Usage if some_done => Exit::Partial,
        worst => worst,
    }
}

fn done_of(counts: &Counts) -> u64 {
    counts.files + counts.symlinks + counts.directories + counts.skipped_files + counts.removed
}

/// What there is although something failed. Nothing beside the failure of a single file.
fn in_part(call: &Call, did: &str, place: &Place, summary: &Summary, took: Duration) {
    let counts = &summary.counts;
    if done_of(counts) == 0 && counts.failed <= 1 {
        return;
    }
    let failed = more_failures(counts.failed, summary.failures.len() as u64);
    let (done, lsn) = (sentence(counts, took), counts.lsn);
    let typed = &place.typed;
    call.note(&format!(
        "{did} {typed} only in part  {done}  lsn {lsn}\n{failed}: run it again for what is missing"
    ));
}

fn more_failures(failed: u64, told: u64) -> String {
    let all = figures::count(failed, "entry", "entries");
    match failed > told {
        true => format!(
            "{all} failed (the first {} are told)",
            figures::thousands(told)
        ),
        false => format!("{all} failed"),
    }
}

fn sentence(counts: &Counts, took: Duration) -> String {
    let files = counts.files + counts.symlinks;
    let mut text = format!(
        "{} {} in {}",
        figures::count(files, "file", "files"),
        figures::bytes(counts.bytes),
        figures::span(took),
    );
    if counts.skipped_files > 0 {
        text.push_str(&format!(
            ", {} there and equal",
            figures::thousands(counts.skipped_files)
        ));
    }
    if counts.removed > 0 {
        text.push_str(&format!(", {} removed", figures::thousands(counts.removed)));
    }
    if counts.retries > 0 {
        text.push_str(&format!(
            ", {}",
            figures::count(counts.retries, "retry", "retries")
        ));
    }
    text
}

/// What a dry run says.
pub(crate) fn would(
    call: &Call,
    kind: &'static str,
    did: &str,
    place: &Place,
    found: Found,
) -> Outcome {
    let files = figures::count(found.files, "file", "files");
    call.wrote(Wrote {
        kind,
        did,
        place,
        more: format!("  {files} {}", figures::bytes(found.bytes)),
        fields: json!({ "files": found.files, "bytes": found.bytes }),
        lsn: 0,
    })
}

/// Files and their bytes at or below a local path, off the thread that speaks with the cluster.
pub(crate) async fn count_local(env: &Env, path: &Path) -> Outcome<Found> {
    let path = path.to_path_buf();
    env.blocking(move || count_below(path)).await
}

fn count_below(path: PathBuf) -> Outcome<Found> {
    let mut found = Found::default();
    let mut todo = vec![path];
    while let Some(path) = todo.pop() {
        let failed = |e: &std::io::Error| Failure::local("read", &path, e);
        let metadata = std::fs::symlink_metadata(&path).map_err(|e| failed(&e))?;
        if !metadata.is_dir() {
            found.files += 1;
            found.bytes += if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(|e| failed(&e))? {
            todo.push(entry.map_err(|e| failed(&e))?.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_what_it_came_to() {
        let counts = Counts {
            files: 1204,
            bytes: 3 << 30,
            skipped_files: 2,
            retries: 1,
            ..Counts::default()
        };
        let text = sentence(&counts, Duration::from_secs(12));
        assert_eq!(
            text,
            "1,204 files 3.0 GiB in 12 s, 2 there and equal, 1 retry"
        );
        assert!(more_failures(2000, 1000).contains("the first 1,000"));
    }

    #[test]
    fn some_bad_entries_leave_the_rest_whole() {
        assert_eq!(verdict(Exit::Conflict, true), Exit::Partial);
        assert_eq!(verdict(Exit::Conflict, false), Exit::Conflict);
        assert_eq!(verdict(Exit::Integrity, true), Exit::Integrity);
        assert_eq!(verdict(Exit::NoSpace, true), Exit::NoSpace);
    }

    #[test]
    fn a_dry_run_counts_what_is_there() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("d")).expect("made");
        std::fs::write(directory.path().join("d/f"), "12345").expect("written");
        std::os::unix::fs::symlink("f", directory.path().join("d/l")).expect("made");
        let found = count_below(directory.path().into()).expect("counted");
        assert_eq!(found, Found { files: 2, bytes: 5 });
    }
}
