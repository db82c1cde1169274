//! `dfsctl dev demo`: the system at work on real files, each step as a command line that anybody can type.
use super::directory::DevDirectory;
use super::files;
use super::up::{self, PROFILE, Place};
use crate::arguments::{Arguments, Command};
use crate::system::{self, End, Nodes, Signals};
use clap::Parser;
use dfs_cli::output::Output;
use dfs_cli::{Call, Exit, Failure, Outcome};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Names tried for the directory of the demonstration: others are somebody's files.
const NAMES_TRIED: u32 = 100;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Puts the files that git tracks here, reads them back and compares every byte, removes them in one
record, and lists them as they were before. A system is started where none runs, and goes on serving
until Ctrl-C.

Examples:
  dfsctl dev demo
  dfsctl dev demo --exit --port 0 --dir ./demo-data"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Stop the system after the demonstration, if it was started for it
    #[arg(long)]
    exit: bool,
    /// The tree whose files are shown
    #[arg(default_value = ".", value_name = "LOCAL")]
    tree: PathBuf,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome<End> {
    let directory = DevDirectory::new(args.place.dir.clone())?;
    if directory.is_served()? {
        say("# a system runs already; it is used");
        up::use_running(call, &directory).await?;
        show(call, &args.tree).await?;
        return Ok(End::Done);
    }
    let mut signals = Signals::catch()?;
    let began = call.env.now();
    let (nodes, running) = match up::here(call, &directory, &args.place, &mut signals).await? {
        Ok(started) => started,
        Err(end) => return Ok(end),
    };
    let took = (call.env.now() - began).as_millis();
    say(&format!(
        "# a system, ready in {took} ms: one process, all roles, at {}",
        running.address
    ));
    say(&format!(
        "# its data: {}   profile \"{PROFILE}\"",
        directory.path().display()
    ));
    let shown = tokio::select! {
        biased;
        end = signals.next() => return stopped(nodes, Ok(end)).await,
        shown = show(call, &args.tree) => shown,
    };
    if shown.is_err() || args.exit {
        return stopped(nodes, shown.map(|()| End::Done)).await;
    }
    say("");
    say(&format!(
        "# It keeps serving at {}; Ctrl-C stops it, the data stay. In another shell:",
        running.address
    ));
    say("#   dfsctl ls /          dfsctl put FILE /          dfsctl status          dfsctl --help");
    system::serve(nodes, &mut signals).await
}

async fn stopped(nodes: Nodes, end: Outcome<End>) -> Outcome<End> {
    nodes.stop().await;
    end
}

async fn show(call: &Call, tree: &Path) -> Outcome {
    let random = call.env.random_u64();
    let scratch = std::env::temp_dir().join(format!("dfsctl-demo-{random:016x}"));
    let shown = Box::pin(steps(call, tree, &scratch)).await;
    // What is left there is only copies.
    let _ = std::fs::remove_dir_all(&scratch);
    shown
}

async fn steps(call: &Call, tree: &Path, scratch: &Path) -> Outcome {
    let (here, back) = (scratch.join("here"), scratch.join("back"));
    let (paths, which) = files::list(tree)?;
    let gathered = files::gather(tree, &paths, &here)?;
    let shown = std::path::absolute(tree).unwrap_or_else(|_| tree.to_path_buf());
    say(&format!(
        "# {} {which} in {}",
        gathered.files,
        shown.display()
    ));
    let place = free_name(call).await?;
    step(call, &[s("put"), here.clone().into(), s(&place)]).await?;
    step(call, &[s("get"), s(&place), back.clone().into()]).await?;
    let compared = files::compare(&here, &back)?;
    if compared != gathered {
        let what = "not every file came back";
        let why = format!("{} were put, {} compared", gathered.files, compared.files);
        return Err(Failure::new(Exit::Violation, what, why, "Report this"));
    }
    say(&format!(
        "# read back: {} files, every byte, mode and time equal",
        compared.files
    ));
    let removed = step(call, &[s("rm"), s("-r"), s("-y"), s(&place)]).await?;
    let before = last_lsn(&removed)?.saturating_sub(1);
    step(call, &[s("ls"), s("-l"), s("/")]).await?;
    say(&format!("# removed; as it was before, at lsn {before}:"));
    step(call, &[s("ls"), s("-l"), s(&format!("{place}@{before}"))]).await?;
    say("# every change is a record of one log:");
    step(call, &[s("log"), s("tail"), s("-n"), s("3")]).await?;
    step(call, &[s("verify"), s("digest")]).await?;
    Ok(())
}

fn s(text: &str) -> OsString {
    text.into()
}

/// `/demo`, or `/demo-2` … where somebody's files are.
async fn free_name(call: &Call) -> Outcome<String> {
    for n in 1..=NAMES_TRIED {
        let name = if n == 1 {
            "/demo".to_string()
        } else {
            format!("/demo-{n}")
        };
        let asked = quietly(call, &[s("test"), s("-e"), s(&name)]).await?;
        if asked == Exit::Other {
            return Ok(name);
        }
    }
    let why = format!("/demo to /demo-{NAMES_TRIED} are there");
    Err(Failure::new(
        Exit::Conflict,
        "no place for the demonstration",
        why,
        "Remove one of them",
    ))
}

/// Prints the command line, does it, and gives back what it printed.
async fn step(call: &Call, words: &[OsString]) -> Outcome<String> {
    say(&format!(
        "$ dfsctl {}",
        words.iter().map(shell_word).collect::<Vec<_>>().join(" ")
    ));
    let heard = Heard::default();
    let exit = invoke(call, words, Box::new(heard.clone())).await?;
    if exit == Exit::Done {
        return Ok(heard.text());
    }
    let what = format!("the step `{}` did not succeed", words[0].display());
    let why = format!("its exit code is {}", exit as u8);
    Err(Failure::new(exit, what, why, "See what it said above"))
}

async fn quietly(call: &Call, words: &[OsString]) -> Outcome<Exit> {
    invoke(call, words, Box::new(io::sink())).await
}

async fn invoke(call: &Call, words: &[OsString], sink: Box<dyn Write + Send>) -> Outcome<Exit> {
    let line = ["dfsctl", "--profile", PROFILE].map(OsString::from);
    let line = line.into_iter().chain(words.iter().cloned());
    let parsed = Arguments::try_parse_from(line).map_err(|e| {
        Failure::usage(
            "a step of the demonstration",
            e.to_string(),
            "Report this as a bug",
        )
    })?;
    let Command::Client(command) = parsed.command else {
        return Ok(Exit::Usage);
    };
    let call = Call::new(call.env.clone(), parsed.globals, sink);
    Ok(Box::pin(dfs_cli::run(&call, command)).await)
}

fn shell_word(word: &OsString) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:=+,%".contains(c);
    match text.chars().all(plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// The number behind the last `lsn` of what a writer printed.
fn last_lsn(printed: &str) -> Outcome<u64> {
    let behind = printed.rsplit_once("lsn ").map(|(_, behind)| behind);
    let digits = behind.map(|text| text.split(|c: char| !c.is_ascii_digit()).next());
    let lsn = digits.flatten().and_then(|digits| digits.parse().ok());
    lsn.ok_or_else(|| {
        let what = "a write did not say its LSN";
        Failure::new(
            Exit::Violation,
            what,
            printed.trim(),
            "Report this as a bug",
        )
    })
}

/// The demonstration is what was asked for, so it goes to standard output.
fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    // A reader that has gone does not stop the system that runs.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Standard output, and what went there.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn text(&self) -> String {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(bytes);
        let _ = Output::stdout().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Output::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{last_lsn, shell_word};

    #[test]
    fn the_lsn_of_a_write_is_the_last_number_behind_lsn() {
        let printed = "removed /lsn 7  3 entries  lsn 1220\n";
        assert_eq!(last_lsn(printed).expect("is there"), 1220);
        assert!(last_lsn("nothing").is_err());
    }

    #[test]
    fn command_lines_can_be_typed_again() {
        assert_eq!(shell_word(&"/demo@12".into()), "/demo@12");
        assert_eq!(shell_word(&"a b'c".into()), "'a b'\\''c'");
    }
}
