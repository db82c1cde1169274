//! Transcripts: command lines with what they print and their exit codes, kept as text beside the tests.
//!
//! In `tests/transcript/NAME.txt` a line `$ …` is given to `sh` in a directory of the test's own (`? …`: only its
//! exit code counts, because what it prints is another system's each time); below it stand
//! its standard output (with `|` before an empty line), its standard error with `2> ` before each line, and
//! `[3]` if it ends with 3. LSNs, times, ids and ports differ from run to run and are written `N`, `TIME`, `ID`, `PORT`. With `REWRITE=1` in the
//! environment the files are written anew from what the commands print: read the difference before you keep it.
use crate::system::{Ended, System};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn verbs() {
    replay("verbs");
}

#[test]
fn patterns() {
    replay("patterns");
}

#[test]
fn diff() {
    replay("diff");
}

#[test]
fn sync() {
    replay("sync");
}

#[test]
fn hdfs() {
    replay("hdfs");
}

#[test]
fn run_batches() {
    replay("run");
}

#[test]
fn find() {
    replay("find");
}

#[test]
fn examples() {
    replay("examples");
}

/// Runs every command line of the file again and compares.
fn replay(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcript/{name}.txt"));
    let expected = std::fs::read_to_string(&file).expect("a transcript");
    let system = System::up();
    std::fs::create_dir(system.path("here")).expect("made");
    let mut printed = String::new();
    for line in expected.lines() {
        let comment = line.starts_with("# ") || line.is_empty();
        if let Some(command) = line.strip_prefix("$ ") {
            let _ = writeln!(printed, "{line}");
            printed.push_str(&shown(&run(&system, command)));
        } else if let Some(command) = line.strip_prefix("? ") {
            let _ = writeln!(printed, "{line}");
            let code = run(&system, command).code;
            printed.push_str(&shown(&Ended::with_code(code)));
        } else if comment {
            let _ = writeln!(printed, "{line}");
        }
    }
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&file, &printed).expect("written");
        return;
    }
    if printed != expected {
        let both = expected.lines().zip(printed.lines());
        let first = both.enumerate().find(|(_, (old, new))| old != new);
        panic!(
            "{name}.txt differs, first at {first:#?}\n(REWRITE=1 writes it anew)\nnow:\n{printed}"
        );
    }
}

fn run(system: &System, command: &str) -> Ended {
    let dfsctl = PathBuf::from(env!("CARGO_BIN_EXE_dfsctl"));
    let path = format!(
        "{}:/usr/bin:/bin",
        dfsctl.parent().expect("a directory").display()
    );
    let mut sh = Command::new("sh");
    // Whatever the machine says elsewhere: names sort by bytes, times are UTC.
    let command = format!("umask 022; {command}");
    sh.args(["-c", &command])
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("PATH", path);
    system.settle(&mut sh);
    sh.current_dir(system.path("here"));
    Ended::of(sh.stdin(Stdio::null()).output().expect("it runs"))
}

fn shown(ended: &Ended) -> String {
    let mut text = String::new();
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        // Else it would be read as what stands between the commands.
        let apart = line.is_empty() || ["# ", "$ ", "? "].iter().any(|mark| line.starts_with(mark));
        let _ = writeln!(text, "{}{}", if apart { "|" } else { "" }, steady(line));
    }
    for line in ended.stderr.lines() {
        let _ = writeln!(text, "2> {}", steady(line));
    }
    if ended.code != 0 {
        let _ = writeln!(text, "[{}]", ended.code);
    }
    text
}

/// A line without what differs from run to run.
fn steady(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let begins_word = !out.ends_with(|c: char| c.is_alphanumeric());
        let found = begins_word.then(|| variable(rest, &out)).flatten();
        match found {
            Some((length, instead)) => {
                out.push_str(instead);
                rest = &rest[length..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// How long the variable part at the beginning of `text` is, and what stands for it.
fn variable(text: &str, before: &str) -> Option<(usize, &'static str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let after = |word: &str| before.ends_with(word);
    let key = before.rsplit('"').nth(1).unwrap_or_default();
    let counted = ["lsn", "_lsn", "inode", "parent", "_ns", "_us", "_ms"];
    let is_value = after("\":") || after("\": ");
    if digits > 0 && (after("lsn ") || after("LSN ")) {
        return Some((digits, "N"));
    }
    if digits > 0 && is_value && counted.iter().any(|end| key.ends_with(end)) {
        return Some((digits, "N"));
    }
    if after("request_id ") || after("\"request_id\": \"") || after("\"request_id\":\"") {
        let hex = text.bytes().take_while(u8::is_ascii_hexdigit).count();
        return (hex == 32).then_some((hex, "ID"));
    }
    if after("@") && digits > 0 && !before.ends_with("@@") {
        return Some((digits, "N"));
    }
    if after("127.0.0.1:") && digits > 0 {
        return Some((digits, "PORT"));
    }
    if after(" in ") && (text[digits..].starts_with(" ms") || text[digits..].starts_with(" s")) {
        return (digits > 0).then(|| (text.find('s').map_or(digits, |s| s + 1), "TIME"));
    }
    // Of this century's second quarter: tests set times of other years.
    let shape = "dddd-dd-dd dd:dd:dd";
    let fits = |(have, want): (u8, u8)| match want {
        b'd' => have.is_ascii_digit(),
        b' ' => have == b' ' || have == b'T',
        other => have == other,
    };
    let dated = text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits);
    if !dated || !text.starts_with("202") || text.starts_with("2020") {
        return None;
    }
    let fraction = text[shape.len()..].bytes();
    let fraction = fraction
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    Some((shape.len() + fraction, "TIME"))
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    for (line, instead) in [
        ("made /a  lsn 12", "made /a  lsn N"),
        (
            "  request_id 00112233aabbccdd0011223344556677  lsn 7",
            "  request_id ID  lsn N",
        ),
        ("3 files 2 B in 12 ms  lsn 9", "3 files 2 B in TIME  lsn N"),
        (
            "modified  2026-11-19 10:00:00.123456789 UTC",
            "modified  TIME UTC",
        ),
        (
            "modified  2020-11-19 10:00:00",
            "modified  2020-11-19 10:00:00",
        ),
        ("{\"lsn\":7,\"size\": 5}", "{\"lsn\":N,\"size\": 5}"),
        ("  \"mtime_ns\": 99,", "  \"mtime_ns\": N,"),
        ("synced /a@15  1 file", "synced /a@N  1 file"),
        ("2 units at 127.0.0.1:9010", "2 units at 127.0.0.1:PORT"),
    ] {
        assert_eq!(steady(line), instead);
    }
}
