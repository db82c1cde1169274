//! `dfsctl chmod`: permission bits, in octal or as in `u+x,go-w`.
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::mode::Mode;
use crate::wrote::Wrote;
use dfs_fs::{AttrChange, Committed, Entry, Kind, Seen};
use futures::TryStreamExt;
use serde_json::json;
use std::ffi::OsString;

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

#[derive(clap::Args, Debug)]
#[command(after_help = "Of a symlink, what it points to is changed.

Examples:
  dfsctl chmod 600 /demo/key.pem
  dfsctl chmod u+x,go-w /demo/run.sh
  dfsctl chmod -R a+rX /demo          X: only directories, and files that somebody may run")]
pub struct Args {
    /// 644, 0755, u+x, go-w, a=rX
    #[arg(allow_hyphen_values = true)]
    mode: Mode,
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
    /// Also everything below; symlinks there are left out
    #[arg(short = 'R', long)]
    recursive: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    call.each(&args.paths, |path| change(call, path, &args))
        .await
}

async fn change(call: &Call, path: &OsString, args: &Args) -> Outcome {
    let (place, seen) = follow(call.target(path).await?).await?;
    let done = change_one(call, &place, &place.at, &seen, &args.mode).await?;
    let (mut entries, mut lsn) = (1, done.lsn);
    if args.recursive && seen.is_directory() {
        let mut walk = place.fs.walk(&place.at, place.when);
        while let Some(walked) = walk.try_next().await? {
            if walked.entry.kind == Kind::Symlink {
                continue;
            }
            let done = change_one(call, &place, &walked.address, &walked.entry, &args.mode).await?;
            entries += 1;
            lsn = lsn.max(done.lsn);
        }
    }
    let mode = args.mode.apply(seen.mode, seen.is_directory());
    let more = match args.recursive {
        true => format!("  {}", crate::figures::count(entries, "entry", "entries")),
        false => format!(" to {mode:04o}"),
    };
    call.wrote(Wrote {
        kind: "AttrSet",
        did: "changed",
        place: &place,
        more,
        fields: json!({ "mode": mode, "entries": entries }),
        lsn,
    })
}

/// A symlink has no mode that means anything: what it points to is changed, as everywhere.
async fn follow(mut place: Place) -> Outcome<(Place, Seen<Entry>)> {
    let named = place.typed.to_string();
    for _ in 0..LINKS_MAX {
        let seen = place.fs.stat(&place.at, place.when).await?;
        if seen.kind != Kind::Symlink {
            return Ok((place, seen));
        }
        let path = pointed_to(place.at.path(), &seen.link_target);
        place = place.elsewhere(&path)?;
    }
    let what = format!("cannot change {named}");
    let why = format!("it leads to a symlink after {LINKS_MAX} symlinks");
    let advice = "Nothing was done; name what is meant";
    Err(Failure::new(Exit::Conflict, what, why, advice))
}

/// Where a symlink at `link` leads, without the first `/`.
fn pointed_to(link: &[u8], target: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = match target.first() {
        Some(b'/') => Vec::new(),
        _ => link.split(|b| *b == b'/').collect(),
    };
    names.pop(); // the link itself
    for name in target.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

async fn change_one(
    call: &Call,
    place: &Place,
    at: &dfs_fs::Address,
    entry: &Entry,
    mode: &Mode,
) -> Outcome<Committed> {
    if call.globals.dry_run {
        return Ok(Committed::default());
    }
    let change = AttrChange {
        mode: Some(mode.apply(entry.mode, entry.is_directory())),
        ..AttrChange::default()
    };
    Ok(place.fs.set_attr(at, change).await?)
}

#[cfg(test)]
mod tests {
    use super::pointed_to;

    #[test]
    fn a_link_leads_from_its_own_directory() {
        let led = |link: &str, target: &str| {
            String::from_utf8(pointed_to(link.as_bytes(), target.as_bytes())).expect("text")
        };
        assert_eq!(led("a/link", "b"), "a/b");
        assert_eq!(led("a/b/link", "../c/./d"), "a/c/d");
        assert_eq!(led("link", "../../x"), "x");
        assert_eq!(led("a/link", "/x/y/"), "x/y");
    }
}
