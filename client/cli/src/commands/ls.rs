//! `dfsctl ls`: lists directories, now or as they were.
use crate::call::{Call, Place};
use crate::entry::{self, Detail};
use crate::failure::Outcome;
use crate::globals::Format;
use crate::output::List;
use crate::walk::Listing;
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl ls /demo\n  dfsctl ls -l /demo@-5m        as it was five minutes ago\n  \
    dfsctl ls -R /demo@1219       as it was after LSN 1219\n  dfsctl ls /big --start-after n --limit 100 -o jsonl"
)]
pub struct Args {
    #[arg(value_name = "ADDRESS", default_value = "/")]
    paths: Vec<OsString>,
    /// Mode, owner, size and time too
    #[arg(short)]
    long: bool,
    /// Also everything below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The directory itself, not what is in it
    #[arg(short, long)]
    directory: bool,
    /// So many entries of each directory at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only names greater than this, by bytes
    #[arg(long, value_name = "NAME")]
    start_after: Option<OsString>,
}

/// One `ls`: how it shows things, and the list it grows.
struct Lister<'a> {
    call: &'a Call,
    args: &'a Args,
    titled: bool,
    detail: Detail,
    list: List<'a>,
    /// Where the last page was read.
    lsn: u64,
    more: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let paths = call.meant(&args.paths).await?;
    let detail = match (call.globals.output, args.long) {
        (Format::Wide, _) => Detail::Wide,
        (_, true) => Detail::Long,
        (_, false) => Detail::Names,
    };
    let list = call.output.list("EntryList", entry::columns(detail));
    let mut lister = Lister {
        call,
        args: &args,
        titled: args.recursive || paths.len() > 1,
        detail,
        list,
        lsn: 0,
        more: false,
    };
    for path in &paths {
        match lister.path(path).await {
            Err(failure) if !failure.silent => call.failed(&failure),
            outcome => outcome?,
        }
    }
    if lister.more {
        call.note("there is more: go on with --start-after and the last name");
    }
    lister.list.end(lister.lsn, lister.more)
}

impl Lister<'_> {
    async fn path(&mut self, path: &OsString) -> Outcome {
        let place = self.call.place(path).await?;
        let seen = place.fs.stat(&place.at, place.when).await?;
        if self.args.directory || !seen.value.is_directory() {
            self.lsn = seen.lsn;
            let shown = [b"/", place.at.path()].concat();
            let item = entry::item(&seen.value, place.at.path(), &shown, self.detail);
            return self.list.push(seen.lsn, item);
        }
        // Read where the stat was: what is listed is one moment.
        let mut directories = vec![place.pinned(seen.lsn)];
        while let Some(directory) = directories.pop() {
            if self.titled {
                self.list.heading(&format!("{}:", directory.typed))?;
            }
            let below = self.directory(&directory).await?;
            directories.extend(below.into_iter().rev());
        }
        Ok(())
    }

    /// Lists one directory and answers with the directories in it, if they are wanted.
    async fn directory(&mut self, directory: &Place) -> Outcome<Vec<Place>> {
        use std::os::unix::ffi::OsStrExt;
        let mut listing = Listing::new(directory).limit(self.args.limit);
        if let Some(name) = &self.args.start_after {
            listing = listing.after(name.as_bytes());
        }
        let mut below = Vec::new();
        while let Some(page) = listing.next().await? {
            self.lsn = listing.lsn();
            for entry in &page {
                let path = crate::address::join(directory.at.path(), &entry.name);
                let item = entry::item(entry, &path, &entry.name, self.detail);
                self.list.push(self.lsn, item)?;
                if self.args.recursive && entry.is_directory() {
                    below.push(directory.join(&entry.name)?);
                }
            }
        }
        self.more |= listing.more();
        Ok(below)
    }
}
