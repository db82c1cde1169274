//! `dfsctl test`: asks what a path is; the answer is the exit code.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_fs::{Entry, Kind};
use std::ffi::OsString;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit code 0: yes. 1: no. Anything else: it could not be asked.\n\n\
    Examples:\n  dfsctl test -d /demo && echo a directory\n  dfsctl test -e /demo/a.txt@-1h"
)]
pub struct Args {
    #[command(flatten)]
    question: Question,
    #[arg(value_name = "ADDRESS")]
    path: OsString,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Question {
    /// Is there anything?
    #[arg(short)]
    exists: bool,
    /// Is it a file?
    #[arg(short)]
    file: bool,
    /// Is it a directory?
    #[arg(short)]
    directory: bool,
    /// Is it a symlink?
    #[arg(short = 'L')]
    link: bool,
    /// Is it a file with bytes in it, or a directory with entries?
    #[arg(short)]
    some: bool,
    /// Is it a file without bytes, or a directory without entries?
    #[arg(short)]
    zero: bool,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let place = call.place(&args.path).await?;
    let found = match place
        .fs
        .stat(&place.at, place.when)
        .await
        .map_err(Failure::from)
    {
        Ok(seen) => Some(seen.value),
        Err(failure) if failure.exit == Exit::NotFound => None,
        // A file where a directory would have to be: there is nothing below it.
        Err(failure) if failure.exit == Exit::Conflict => None,
        Err(failure) => return Err(failure),
    };
    if !found.is_some_and(|entry| holds(&args.question, &entry)) {
        call.verdict(Exit::Other);
    }
    Ok(())
}

fn holds(question: &Question, entry: &Entry) -> bool {
    let is = |kind| entry.kind == kind;
    let empty = entry.size == 0 && entry.children == 0 && !is(Kind::Symlink);
    question.exists
        || question.file && is(Kind::File)
        || question.directory && is(Kind::Directory)
        || question.link && is(Kind::Symlink)
        || question.some && !empty
        || question.zero && empty
}
