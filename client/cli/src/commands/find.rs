//! `dfsctl find`: entries below a path that are as asked, now or as they were.
use crate::call::{Call, Place};
use crate::entry::{self, Detail};
use crate::failure::{Failure, Outcome};
use crate::globals::Format;
use crate::moment::Moment;
use crate::output::{Column, List};
use crate::owner::{parse_group, parse_user};
use crate::predicate::{Bits, Compared, Like, Mark, Predicate, parse_age, parse_size};
use crate::quote;
use clap::ValueEnum;
use dfs_fs::{Entry, Kind};
use futures::TryStreamExt;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "All that is asked has to hold; of several --name, --path or --type one. Patterns are as in addresses;
--path is matched against the whole path, in which ** goes through directories. What is found is
printed as it comes, a path per line; -0 and -o name give addresses for other commands, -o jsonl
everything that is known. Symlinks are entries of their own and not followed.

Examples:
  dfsctl find /demo --name '*.rs' --type f
  dfsctl find /demo@-1d --size +1M --newer-than -7d
  dfsctl find /demo --newer-than 1219               changed by records after LSN 1219
  dfsctl find /demo --name '*.tmp' -0 | xargs -0 dfsctl rm --literal
  dfsctl find / --type d --empty --max-depth 3 -o jsonl"
)]
pub struct Args {
    #[arg(value_name = "ADDRESS", default_value = "/")]
    paths: Vec<OsString>,
    #[command(flatten)]
    asked: Asked,
    /// Not below this depth; the ADDRESS itself is 0
    #[arg(long, alias = "maxdepth", value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    max_depth: usize,
    /// Only at this depth and below
    #[arg(
        long,
        alias = "mindepth",
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    min_depth: usize,
    /// Mode, owner, size and time too
    #[arg(short)]
    long: bool,
}

#[derive(clap::Args, Debug)]
struct Asked {
    /// The last name matches
    #[arg(long, value_name = "PATTERN", value_parser = Like::parse)]
    name: Vec<Like>,
    /// The last name matches, upper or lower case
    #[arg(long, value_name = "PATTERN", value_parser = Like::parse_ignoring_case)]
    iname: Vec<Like>,
    /// The path from the root matches
    #[arg(long, value_name = "PATTERN", value_parser = Like::parse)]
    path: Vec<Like>,
    /// f, d or l: file, directory, symlink
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_enum)]
    kinds: Vec<Type>,
    /// A file of more (+1M), less (-1M) or exactly (4096) so many bytes; twice for a range
    #[arg(long, value_name = "SIZE", value_parser = parse_size, allow_hyphen_values = true)]
    size: Vec<Compared<u64>>,
    /// Last modified more than (+3), less than (-3) or 3 whole days ago
    #[arg(long, value_name = "DAYS", value_parser = parse_age, allow_hyphen_values = true)]
    mtime: Option<Compared<i64>>,
    /// The same in minutes
    #[arg(long, value_name = "MINUTES", value_parser = parse_age, allow_hyphen_values = true)]
    mmin: Option<Compared<i64>>,
    /// Modified after this time (2026-11-19T10:00Z, -1d), or by a record after this LSN (1219)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    newer_than: Vec<Moment>,
    /// Not modified after this time or LSN
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    older_than: Vec<Moment>,
    /// Modified after that entry was
    #[arg(long, value_name = "ADDRESS")]
    newer: Option<OsString>,
    /// Owned by this user: a number, or a name of this machine
    #[arg(long, alias = "uid", value_parser = parse_user)]
    user: Option<u32>,
    /// Of this group: a number, or a name of this machine
    #[arg(long, alias = "gid", value_parser = parse_group)]
    group: Option<u32>,
    /// Permission bits in octal: 644 exactly, -022 all of them, /111 any of them
    #[arg(long, value_name = "BITS", allow_hyphen_values = true)]
    perm: Option<Bits>,
    /// A file without bytes, or a directory without entries
    #[arg(long)]
    empty: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Type {
    #[value(name = "f", alias = "file")]
    File,
    #[value(name = "d", alias = "directory")]
    Directory,
    #[value(name = "l", alias = "symlink")]
    Symlink,
}

/// One `find`: what is asked, and the list it grows.
struct Finder<'a> {
    args: &'a Args,
    predicate: Predicate,
    detail: Detail,
    list: List<'a>,
    lsn: u64,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let detail = match (call.globals.output, args.long) {
        (Format::Wide, _) => Detail::Wide,
        (_, true) => Detail::Long,
        (_, false) => Detail::Names,
    };
    let columns = match detail {
        Detail::Names => vec![Column::text("")],
        detail => entry::columns(detail),
    };
    let mut finder = Finder {
        predicate: predicate(call, &args.asked).await?,
        args: &args,
        detail,
        list: call.output.list("EntryList", columns),
        lsn: 0,
    };
    for path in &call.meant(&args.paths).await? {
        match finder.path(call, path).await {
            Err(failure) if !failure.silent => call.failed(&failure),
            outcome => outcome?,
        }
    }
    finder.list.end(finder.lsn, false)
}

async fn predicate(call: &Call, asked: &Asked) -> Outcome<Predicate> {
    let now_us = call.env.wall_us();
    let mut newer = marks(&asked.newer_than, now_us)?;
    if let Some(reference) = &asked.newer {
        let place = call.place(reference).await?;
        let seen = place.fs.stat(&place.at, place.when).await?;
        newer.push(Mark::Time(seen.mtime_ns));
    }
    let kinds = asked.kinds.iter().map(|kind| match kind {
        Type::File => Kind::File,
        Type::Directory => Kind::Directory,
        Type::Symlink => Kind::Symlink,
    });
    Ok(Predicate {
        names: [asked.name.clone(), asked.iname.clone()].concat(),
        paths: asked.path.clone(),
        kinds: kinds.collect(),
        sizes: asked.size.clone(),
        days: asked.mtime,
        minutes: asked.mmin,
        newer,
        older: marks(&asked.older_than, now_us)?,
        uid: asked.user,
        gid: asked.group,
        bits: asked.perm,
        empty: asked.empty,
        now_ns: i64::try_from(now_us)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
    })
}

fn marks(moments: &[Moment], now_us: u64) -> Outcome<Vec<Mark>> {
    let mark = |moment: &Moment| {
        Mark::of(*moment, now_us).ok_or_else(|| {
            let advice = "Write a time (-1d, 2026-11-19T10:00Z) or an LSN";
            Failure::usage("`head` is no bound", "nothing is newer than it", advice)
        })
    };
    moments.iter().map(mark).collect()
}

impl Finder<'_> {
    async fn path(&mut self, call: &Call, path: &OsString) -> Outcome {
        let place = call.place(path).await?;
        let seen = place.fs.stat(&place.at, place.when).await?;
        // What is found is of one moment.
        let place = place.pinned(seen.lsn);
        self.lsn = seen.lsn;
        if self.args.min_depth == 0 {
            self.entry(&seen, place.at.path())?;
        }
        if !seen.is_directory() || self.args.max_depth == 0 {
            return Ok(());
        }
        let base = depth(&place);
        let mut walk = place.fs.walk_to(&place.at, place.when, self.args.max_depth);
        while let Some(walked) = walk.try_next().await? {
            if self.args.min_depth <= 1
                || walked.address.names().count() - base >= self.args.min_depth
            {
                self.entry(&walked.entry, walked.address.path())?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, path: &[u8]) -> Outcome {
        let shown = [b"/", path].concat();
        if !self.predicate.holds(entry, &shown) {
            return Ok(());
        }
        let mut item = entry::item(entry, path, &shown, self.detail);
        if self.detail == Detail::Names {
            item.cells = vec![quote::shown(&shown)];
        }
        self.list.push(self.lsn, item)
    }
}

fn depth(place: &Place) -> usize {
    place.at.names().count()
}
