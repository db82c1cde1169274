//! `dfsctl run`: many command lines in one process, side by side, with a result for each.
mod line;

use crate::arguments::{Arguments, Command};
use clap::Parser;
use dfs_cli::globals::Globals;
use dfs_cli::{Call, Exit, Failure, Outcome};
use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What one line may print: it is held until the line ends, so that lines are not mixed.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A line is a command as it stands behind dfsctl, with words quoted as in a shell; # begins a comment.
There are no variables and no pipes, and only commands that speak with a cluster. The lines share its
connection. With -j lines run side by side and end in any order. Of the flags given here the profile, --sequencers,
--at, --consistency, --timeout, --literal, --dry-run and --yes hold for every line; -o and -q are about the
results, and a line that wants its own says so. --if-lsn stands in a line.
For each line its output is printed, then its number, exit code and text; -o jsonl is an object per line.
The exit code is the worst of all.

Examples:
  dfsctl run cmds.txt -j 32
  printf 'mkdir /new\\nput a.txt /new/\\n' | dfsctl run
  dfsctl run --stop deploy.txt -o jsonl"
)]
pub(crate) struct Args {
    /// File of command lines; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Lines that run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Begin no line after one that failed
    #[arg(long)]
    stop: bool,
}

/// A longer line is no command line; as many as run are held at once.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What is told of one that is too long.
const TOLD_BYTES_MAX: usize = 60;

/// A line that has been read.
struct Line {
    number: u64,
    text: String,
    words: Result<Vec<OsString>, String>,
}

struct Ended {
    number: u64,
    text: String,
    exit: Exit,
    /// Each line is a request of its own.
    request_id: String,
    output: Vec<u8>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Exit {
    let done = Box::pin(all(call, &args)).await;
    call.close().await;
    call.end(done)
}

async fn all(call: &Call, args: &Args) -> Outcome {
    if call.globals.if_lsn.is_some() {
        let why = "it is about one entry, and a batch changes many";
        let advice = "Nothing was done; write it in the line that it is for";
        return Err(Failure::usage("--if-lsn is not for run", why, advice));
    }
    let from_stdin = args.file == Path::new("-");
    let mut idle = Some(Lines::open(&args.file)?);
    // What runs goes on while the next line is waited for: whoever writes it may wait for a result.
    let mut reading = Fuse::terminated();
    let mut running = FuturesUnordered::new();
    let mut sum = Sum::default();
    loop {
        let may_begin = !args.stop || sum.worst == Exit::Done;
        let has_room = may_begin && running.len() < usize::from(args.jobs);
        if let Some(mut lines) = idle.take_if(|_| has_room) {
            let read = call.env.blocking(move || (lines.next(), lines));
            reading = read.boxed().fuse();
        }
        tokio::select! {
            biased;
            Some(ended) = running.next() => {
                sum.add(&ended);
                tell(call, &ended)?;
            }
            (read, lines) = &mut reading, if may_begin && !reading.is_terminated() => {
                if let Some(line) = read? {
                    idle = Some(lines);
                    running.push(one(call, line, from_stdin));
                }
            }
            else => break,
        }
    }
    sum.tell(call);
    Ok(())
}

/// What all lines came to.
struct Sum {
    worst: Exit,
    ended: u64,
    failed: u64,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum {
            worst: Exit::Done,
            ended: 0,
            failed: 0,
        }
    }
}

impl Sum {
    fn add(&mut self, ended: &Ended) {
        self.worst = self.worst.worse(ended.exit);
        self.ended += 1;
        self.failed += u64::from(ended.exit != Exit::Done);
    }

    fn tell(&self, call: &Call) {
        let lines = if self.ended == 1 { "line" } else { "lines" };
        call.note(&format!("{} {lines}, {} failed", self.ended, self.failed));
        call.counted(self.worst);
    }
}

async fn one(call: &Call, line: Line, from_stdin: bool) -> Ended {
    let output = Held::default();
    let Line {
        number,
        text,
        words,
    } = line;
    let heading = format!("line {number}: {text}");
    let part = |globals| {
        let part = call.part(globals, Box::new(output.clone()), heading);
        match from_stdin {
            true => part.without_stdin(),
            false => part,
        }
    };
    let (exit, request_id) = match parsed(&text, words) {
        Ok((globals, command)) => {
            let part = part(globals);
            let exit = Box::pin(dfs_cli::run(&part, command)).await;
            (exit, part.request_id)
        }
        Err(failure) => {
            let part = part(Globals::default());
            (part.end(Err(failure)), part.request_id)
        }
    };
    Ended {
        number,
        text,
        exit,
        request_id,
        output: output.take(),
    }
}

fn parsed(
    text: &str,
    words: Result<Vec<OsString>, String>,
) -> Result<(Globals, dfs_cli::Command), Failure> {
    let advice = "Correct the line; the others were not kept from running";
    let what = || format!("cannot understand `{text}`");
    let words = words.map_err(|why| Failure::usage(what(), why, advice))?;
    let named = words.first().is_some_and(|word| word == "dfsctl");
    let program = (!named).then(|| OsString::from("dfsctl"));
    let arguments = Arguments::try_parse_from(program.into_iter().chain(words));
    match arguments {
        Ok(Arguments {
            globals,
            command: Command::Client(command),
        }) => Ok((globals, command)),
        Ok(_) => {
            let why = "only commands that speak with a cluster run in a batch";
            Err(Failure::usage(what(), why, advice))
        }
        Err(error) => {
            let text = error.render().to_string();
            let why = text.lines().next().unwrap_or_default();
            let why = why.trim_start_matches("error: ").to_string();
            Err(Failure::usage(what(), why, advice))
        }
    }
}

fn tell(call: &Call, ended: &Ended) -> Outcome {
    let (number, exit) = (ended.number, ended.exit as u8);
    if call.output.is_json() {
        let output = String::from_utf8_lossy(&ended.output).into_owned();
        let fields = json!({
            "line": number, "command": ended.text, "exit": exit, "output": output,
            "request_id": ended.request_id,
        });
        return call.output.object("Line", fields);
    }
    call.output.raw(&ended.output)?;
    if call.globals.quiet {
        return call.output.flush();
    }
    let result = format!("{number}\t{exit}\t{}\n", ended.text);
    call.output.raw(result.as_bytes())?;
    call.output.flush()
}

/// The lines of a file or of standard input, read as they are needed.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines, Failure> {
        let reader: Box<dyn BufRead + Send> = match path == Path::new("-") {
            true => Box::new(io::BufReader::new(io::stdin())),
            false => {
                let file = std::fs::File::open(path);
                let file = file.map_err(|e| Failure::local("read", path, &e))?;
                Box::new(io::BufReader::new(file))
            }
        };
        Ok(Lines {
            reader,
            path: path.to_path_buf(),
            number: 0,
        })
    }

    /// The bytes of the next, without its end; of one that is too long only the beginning, and false.
    fn read(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        let mut line = Vec::new();
        let bound = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.reader)
            .take(bound)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let ends = line.pop_if(|byte| *byte == b'\n').is_some();
        let whole = line.len() <= LINE_BYTES_MAX;
        if !whole {
            if !ends {
                self.reader.skip_until(b'\n')?;
            }
            line.truncate(TOLD_BYTES_MAX);
        }
        Ok(Some((line, whole)))
    }

    /// The next that is no comment.
    fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let line = self.read();
            let line = line.map_err(|e| Failure::local("read", &self.path, &e))?;
            let Some((line, whole)) = line else {
                return Ok(None);
            };
            self.number += 1;
            let words = match whole {
                true => line::words(&line),
                false => Err("a line may have 1 MiB".into()),
            };
            if words.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            return Ok(Some(Line {
                number: self.number,
                text: String::from_utf8_lossy(&line).trim().to_string(),
                words,
            }));
        }
    }
}

/// Output that is held back.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<u8>>>);

impl Held {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() + bytes.len() > OUTPUT_BYTES_MAX {
            let why = "a line of a batch may print 16 MiB: run it alone";
            return Err(io::Error::other(why));
        }
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
