//! `-stat`, `-test`, `-checksum`: one entry looked at.
use super::words::Words;
use super::{Complaint, Told, list};
use crate::calendar;
use crate::call::Call;
use crate::exit::Exit;
use crate::figures;
use crate::owner::{group_name, user_name};
use crate::quote;
use dfs_fs::{Entry, Kind};
use dfs_wire::limits::EXTENT_BYTES_MAX;

/// The time of the last change, if nothing else is asked.
const FORMAT: &str = "%y";

pub(super) async fn stat(call: &Call, mut words: Words) -> Told {
    words.options(&[])?;
    let format = match words.first_is(|word| word.contains('%')) {
        true => words.argument()?,
        false => FORMAT.to_string(),
    };
    let copies = match format.contains("%r") {
        true => list::replication(call).await?,
        false => 0,
    };
    let (format, paths) = (&format, words.paths()?);
    call.hdfs_each("stat", &paths, |path| async move {
        let entry = path.stat().await?.value;
        call.hdfs_line(&formatted(format, &entry, copies))
    })
    .await
}

fn formatted(format: &str, entry: &Entry, copies: usize) -> String {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('a') => text.push_str(&format!("{:o}", entry.mode)),
            Some('A') => text.push_str(&figures::mode('-', entry.mode)[1..]),
            Some('b') => text.push_str(&length(entry).to_string()),
            Some('F') => text.push_str(kind(entry)),
            Some('g') => text.push_str(&group_name(entry.gid)),
            Some('u') => text.push_str(&user_name(entry.uid)),
            Some('n') => text.push_str(&quote::shown(&entry.name)),
            Some('o') => text.push_str(&block(entry).to_string()),
            Some('r') => text.push_str(&(if entry.is_file() { copies } else { 0 }).to_string()),
            Some('x' | 'y') => text.push_str(&calendar::format_mtime(entry.mtime_ns)),
            Some('X' | 'Y') => text.push_str(&(entry.mtime_ns.div_euclid(1_000_000)).to_string()),
            Some('%') | None => text.push('%'),
            Some(other) => text.push(other),
        }
    }
    text
}

fn length(entry: &Entry) -> u64 {
    if entry.is_file() { entry.size } else { 0 }
}

fn block(entry: &Entry) -> usize {
    if entry.is_file() { EXTENT_BYTES_MAX } else { 0 }
}

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::File => "regular file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
    }
}

/// The answer is the exit code: 0 yes, 1 no.
pub(super) async fn test(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["d", "e", "f", "s", "w", "r", "z"])?;
    let [question] = options.as_slice() else {
        return Err(Complaint::usage("No test flag given".into()));
    };
    let paths = words.paths()?;
    let [path] = paths.as_slice() else {
        return Err(Complaint::usage("Too many arguments: expected 1".into()));
    };
    let found = call.hdfs_path(path).await?.find().await;
    // A file where a directory would have to be: there is nothing below it.
    let found = found.unwrap_or_default();
    let holds = found.is_some_and(|entry| match question.as_str() {
        "d" => entry.is_directory(),
        "f" => entry.is_file(),
        "s" => length(&entry) > 0,
        "z" => length(&entry) == 0,
        "w" => entry.mode & 0o222 != 0,
        "r" => entry.mode & 0o444 != 0,
        _ => true,
    });
    if !holds {
        call.verdict(Exit::Other);
    }
    Ok(())
}

/// Path, algorithm, sum, with tabs between: composite CRCs do not depend on how the bytes lie.
pub(super) async fn checksum(call: &Call, mut words: Words) -> Told {
    words.options(&["v"])?;
    let paths = words.paths()?;
    call.hdfs_each("checksum", &paths, |path| async move {
        let entry = path.stat().await?;
        if !entry.is_file() {
            return Err(Complaint::of(format!("`{}': Is a directory", path.shown)));
        }
        let place = path.place.pinned(entry.lsn);
        let sum = place.fs.checksum(&place.at, place.when).await;
        let sum = sum.map_err(path.refused())?;
        call.hdfs_line(&format!(
            "{}\tCOMPOSITE-CRC32C\t{:08x}",
            path.shown, sum.crc32c
        ))
    })
    .await
}
