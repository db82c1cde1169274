//! `dfsctl stat`: everything that is known of an entry.
use crate::address;
use crate::call::Call;
use crate::entry;
use crate::failure::Outcome;
use crate::output::{Column, Item};
use crate::{calendar, figures, quote};
use dfs_fs::{Entry, Kind};
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl stat /demo/a.txt\n  dfsctl stat /demo/a.txt@-1h -o json"
)]
pub struct Args {
    #[arg(required = true, value_name = "ADDRESS")]
    paths: Vec<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    call.each(&paths, |path| show(call, path)).await
}

async fn show(call: &Call, path: &OsString) -> Outcome {
    let place = call.place(path).await?;
    let seen = place.fs.stat(&place.at, place.when).await?;
    let (columns, cells) = lines(&seen.value, place.at.path(), seen.lsn);
    let item = Item {
        json: entry::to_json(&seen.value, place.at.path()),
        name: address::escape(place.at.path()),
        cells,
    };
    call.output.shown("Entry", seen.lsn, item, &columns)
}

fn lines(entry: &Entry, path: &[u8], lsn: u64) -> (Vec<Column>, Vec<String>) {
    let mut lines = vec![
        ("path", quote::shown(&[b"/", path].concat())),
        ("type", entry.kind.name().to_string()),
    ];
    match entry.kind {
        Kind::File => {
            let (bytes, extents) = (entry.size, u64::from(entry.extents));
            let place = match extents {
                0 => "in the record".into(),
                n => format!("in {}", figures::count(n, "extent", "extents")),
            };
            let shown = figures::bytes(bytes);
            lines.push(("size", format!("{bytes} ({shown}, {place})")));
            lines.push(("crc32c", entry::checksum(entry).unwrap_or_default()));
        }
        Kind::Directory => lines.push(("entries", figures::thousands(entry.children))),
        Kind::Symlink => lines.push(("target", quote::shown(&entry.link_target))),
    }
    let time = calendar::format(entry.log_time_us);
    lines.extend([
        ("mode", format!("{:04o}", entry.mode)),
        ("owner", format!("{}:{}", entry.uid, entry.gid)),
        ("modified", calendar::format_mtime_ns(entry.mtime_ns)),
        ("inode", entry.inode.to_string()),
        ("links", entry.links.to_string()),
        ("version", format!("lsn {} of {time}", entry.lsn)),
        ("read at", format!("lsn {lsn}")),
    ]);
    lines
        .into_iter()
        .map(|(title, cell)| (Column::text(title), cell))
        .unzip()
}
