//! `-ls`: `Found N items`, and a line of eight columns per entry.
use super::words::Words;
use super::{Path, Told, complain};
use crate::call::Call;
use crate::figures;
use crate::owner::{group_name, user_name};
use crate::quote;
use crate::walk::Listing;
use dfs_fs::{Entry, Kind};
use std::ffi::OsString;

/// As HDFS has it: columns are at least so wide.
const REPLICATION_WIDTH: usize = 3;
const LENGTH_WIDTH: usize = 10;

struct How {
    recursive: bool,
    directory: bool,
    human: bool,
    paths_only: bool,
    by_time: bool,
    by_size: bool,
    reversed: bool,
    replication: String,
}

pub(super) async fn ls(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["R", "d", "h", "C", "t", "S", "r", "u", "q", "e"])?;
    let has = |option: &str| options.iter().any(|o| o == option);
    let how = How {
        recursive: has("R") || name == "lsr",
        directory: has("d"),
        human: has("h"),
        paths_only: has("C"),
        by_time: has("t"),
        by_size: has("S") && !has("t"),
        reversed: has("r"),
        replication: replication(call).await?.to_string(),
    };
    let paths = words.paths().unwrap_or_else(|_| vec![OsString::from(".")]);
    let how = &how;
    call.hdfs_each(name, &paths, |path| async move {
        let seen = path.stat().await?;
        match seen.is_directory() && !how.directory {
            true => directory(call, name, &path, how).await,
            false => lines(call, &[(path.shown.clone(), seen.value)], how),
        }
    })
    .await
}

/// How often files are kept, as the log says: an entry does not.
pub(super) async fn replication(call: &Call) -> Told<usize> {
    let status = call.cluster().await?.fs.status().await;
    let status = status.map_err(|refusal| super::complaint("/", &refusal))?;
    let members = status
        .sequencer
        .stripes
        .iter()
        .map(|stripe| stripe.units.len());
    Ok(members.max().unwrap_or(1))
}

async fn directory(call: &Call, name: &str, path: &Path, how: &How) -> Told {
    // Columns are as wide as the widest of the directory, so all of it has to be known first.
    let mut entries = Listing::new(&path.place).all().await?;
    if how.by_time {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.mtime_ns));
    } else if how.by_size {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    }
    if how.reversed {
        entries.reverse();
    }
    if !how.recursive && !how.paths_only && !entries.is_empty() {
        call.hdfs_line(&format!("Found {} items", entries.len()))?;
    }
    let shown = |entry: &Entry| {
        let above = path.shown.trim_end_matches('/');
        format!("{above}/{}", quote::shown(&entry.name))
    };
    if !how.recursive {
        let rows: Vec<_> = entries
            .into_iter()
            .map(|entry| (shown(&entry), entry))
            .collect();
        return lines(call, &rows, how);
    }
    for entry in entries {
        let row = [(shown(&entry), entry)];
        lines(call, &row, how)?;
        if row[0].1.is_directory() {
            let below = path.join(&row[0].1.name)?;
            if let Err(told) = Box::pin(directory(call, name, &below, how)).await {
                complain(call, name, &told);
            }
        }
    }
    Ok(())
}

fn lines(call: &Call, rows: &[(String, Entry)], how: &How) -> Told {
    if how.paths_only {
        return rows.iter().try_for_each(|(shown, _)| call.hdfs_line(shown));
    }
    let cells: Vec<[String; 6]> = rows.iter().map(|(_, entry)| cells(entry, how)).collect();
    let width = |column: usize, least: usize| {
        let widths = cells.iter().map(|cells| cells[column].chars().count());
        widths.max().unwrap_or(0).max(least)
    };
    let (repl, owner) = (width(1, REPLICATION_WIDTH), width(2, 0));
    let (group, length) = (width(3, 0), width(4, LENGTH_WIDTH));
    for ([mode, copies, user, of, size, time], (shown, _)) in cells.iter().zip(rows) {
        call.hdfs_line(&format!(
            "{mode} {copies:>repl$} {user:<owner$} {of:<group$} {size:>length$} {time} {shown}"
        ))?;
    }
    Ok(())
}

fn cells(entry: &Entry, how: &How) -> [String; 6] {
    let letter = if entry.is_directory() { 'd' } else { '-' };
    let size = if entry.is_file() { entry.size } else { 0 };
    [
        figures::mode(letter, entry.mode),
        match entry.kind {
            Kind::Directory => "-".to_string(),
            _ => how.replication.clone(),
        },
        user_name(entry.uid),
        group_name(entry.gid),
        if how.human {
            human(size)
        } else {
            size.to_string()
        },
        minutes(entry.mtime_ns),
    ]
}

/// `2026-11-19 10:00`, UTC.
fn minutes(mtime_ns: i64) -> String {
    let seconds = crate::calendar::format_mtime(mtime_ns);
    seconds[..seconds.len() - 3].to_string()
}

/// `1.5 K`, as HDFS writes it.
pub(super) fn human(bytes: u64) -> String {
    match figures::bytes(bytes).split_once(' ') {
        Some((number, "B")) => number.to_string(),
        Some((number, unit)) => format!("{} {}", number.trim_end_matches(".0"), &unit[..1]),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_those_of_hdfs() {
        assert_eq!(human(0), "0");
        assert_eq!(human(1536), "1.5 K");
        assert_eq!(human(1 << 30), "1 G");
        assert_eq!(minutes(1_577_934_245_000_000_000), "2020-01-02 03:04");
    }
}
