//! `dfsctl run`: many command lines in one process, side by side, with a result for each.
mod line;

use crate::arguments::{Arguments, Command};
use clap::Parser;
use dfs_cli::globals::Globals;
use dfs_cli::{Call, Exit, Failure, Outcome};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What one line may print: it is held until the line ends, so that lines are not mixed.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "A line is a command as it stands behind dfsctl, with words quoted as in a shell; # begins a comment.
There are no variables and no pipes, and only commands that speak with a cluster. The lines share its
connection. With -j lines run side by side and end in any order. Flags given here hold for every line.
For each line its output is printed, then its number, exit code and text; -o jsonl is an object per line.
The exit code is the worst of all.

Examples:
  dfsctl run cmds.txt -j 32
  dfsctl find /demo --name '*.tmp' | sed 's/^/rm /' | dfsctl run
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

/// A line that has been read.
#[derive(Clone)]
struct Line {
    number: u64,
    text: String,
    words: Result<Vec<OsString>, String>,
}

struct Ended {
    line: Line,
    exit: Exit,
    output: Vec<u8>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Exit {
    let done = Box::pin(all(call, &args)).await;
    call.close().await;
    call.end(done)
}

async fn all(call: &Call, args: &Args) -> Outcome {
    let mut lines = Lines::open(&args.file)?;
    let mut running = FuturesUnordered::new();
    let (mut worst, mut ended_lines, mut failed) = (Exit::Done, 0_u64, 0_u64);
    loop {
        let may_begin = !(args.stop && worst != Exit::Done);
        if running.len() < usize::from(args.jobs) && may_begin {
            let (read, back) = call.env.blocking(move || (lines.next(), lines)).await;
            lines = back;
            if let Some(line) = read? {
                running.push(one(call, line));
                continue;
            }
        }
        let Some(ended) = running.next().await else {
            break;
        };
        worst = worst.worse(ended.exit);
        ended_lines += 1;
        failed += u64::from(ended.exit != Exit::Done);
        tell(call, &ended)?;
    }
    let lines = if ended_lines == 1 { "line" } else { "lines" };
    call.note(&format!("{ended_lines} {lines}, {failed} failed"));
    call.counted(worst);
    Ok(())
}

async fn one(call: &Call, line: Line) -> Ended {
    let output = Held::default();
    let heading = format!("line {}: {}", line.number, line.text);
    let exit = match parsed(&line) {
        Ok((globals, command)) => {
            let part = call.part(globals, Box::new(output.clone()), heading);
            Box::pin(dfs_cli::run(&part, command)).await
        }
        Err(failure) => {
            let part = call.part(Globals::default(), Box::new(output.clone()), heading);
            part.end(Err(failure))
        }
    };
    Ended {
        line,
        exit,
        output: output.take(),
    }
}

fn parsed(line: &Line) -> Result<(Globals, dfs_cli::Command), Failure> {
    let advice = "Correct the line; the others were not kept from running";
    let what = || format!("cannot understand `{}`", line.text);
    let words = line.words.clone();
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
    let (number, exit) = (ended.line.number, ended.exit as u8);
    if call.output.is_json() {
        let output = String::from_utf8_lossy(&ended.output).into_owned();
        let fields = json!({
            "line": number, "command": ended.line.text, "exit": exit, "output": output,
        });
        return call.output.object("Line", fields);
    }
    call.output.raw(&ended.output)?;
    if call.globals.quiet {
        return call.output.flush();
    }
    let result = format!("{number}\t{exit}\t{}\n", ended.line.text);
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

    /// The next that is no comment.
    fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line);
            if read.map_err(|e| Failure::local("read", &self.path, &e))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let words = line::words(line);
            if words.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            return Ok(Some(Line {
                number: self.number,
                text: String::from_utf8_lossy(line).trim().to_string(),
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
