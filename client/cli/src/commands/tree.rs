//! `dfsctl tree`: directories as a picture.
use crate::address;
use crate::call::{Call, Place};
use crate::entry::{self, Detail};
use crate::failure::Outcome;
use crate::figures;
use crate::output::{Column, Item, List};
use crate::quote;
use crate::walk::Listing;
use dfs_fs::{Entry, Usage};
use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl tree /demo\n  dfsctl tree -L 2 /@-1h\n  dfsctl tree -d /"
)]
pub struct Args {
    #[arg(value_name = "ADDRESS", default_value = "/")]
    path: OsString,
    /// Down to this depth
    #[arg(short = 'L', long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    level: usize,
    /// Directories only
    #[arg(short, long)]
    directories: bool,
}

struct Drawing<'a> {
    args: &'a Args,
    list: List<'a>,
    lsn: u64,
    usage: Usage,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let place = call.place(&args.path).await?;
    let seen = place.fs.stat(&place.at, place.when).await?;
    let mut drawing = Drawing {
        args: &args,
        list: call.output.list("EntryList", vec![Column::text("")]),
        lsn: seen.lsn,
        usage: Usage::default(),
    };
    let place = place.pinned(seen.lsn);
    drawing.line(
        &place,
        &seen,
        quote::shown(&[b"/", place.at.path()].concat()),
    )?;
    if seen.is_directory() {
        drawing.below(place, String::new(), 1).await?;
    }
    let (directories, files) = (drawing.usage.directories, drawing.usage.files);
    let sum = format!(
        "{}, {}, {}  lsn {}",
        figures::count(directories, "directory", "directories"),
        figures::count(files, "file", "files"),
        figures::bytes(drawing.usage.bytes),
        seen.lsn,
    );
    drawing.list.end(seen.lsn, false)?;
    call.note(&sum);
    Ok(())
}

impl Drawing<'_> {
    fn line(&mut self, place: &Place, entry: &Entry, line: String) -> Outcome {
        self.usage.add(entry);
        let path = place.at.path();
        let item = Item {
            json: entry::to_json(entry, path),
            name: address::escape(path),
            cells: vec![line],
        };
        self.list.push(self.lsn, item)
    }

    /// Recursion in an async function needs a box; a directory's entries are held while it is drawn.
    fn below<'b>(
        &'b mut self,
        place: Place,
        indent: String,
        level: usize,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'b>> {
        Box::pin(async move {
            if level > self.args.level {
                return Ok(());
            }
            let mut entries = Listing::new(&place).all().await?;
            entries.retain(|entry| entry.is_directory() || !self.args.directories);
            let last = entries.len().saturating_sub(1);
            for (i, entry) in entries.iter().enumerate() {
                let (branch, deeper) = if i == last {
                    ("└── ", "    ")
                } else {
                    ("├── ", "│   ")
                };
                let path = place.join(&entry.name)?;
                let item = entry::item(entry, path.at.path(), &entry.name, Detail::Names);
                self.line(
                    &path,
                    entry,
                    format!("{indent}{branch}{}", item.cells.concat()),
                )?;
                if entry.is_directory() {
                    self.below(path, format!("{indent}{deeper}"), level + 1)
                        .await?;
                }
            }
            Ok(())
        })
    }
}
