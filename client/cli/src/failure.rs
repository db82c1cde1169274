//! Why a command did not do what was asked, in three lines: what, why, what to do.
use crate::address::BadAddress;
use crate::calendar;
use crate::exit::Exit;
use crate::quote;
use dfs_wire::{Code, Refusal};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A refusal, or something on this machine, as a person and a shell are told.
#[derive(Clone, Debug)]
pub struct Failure {
    pub exit: Exit,
    pub what: String,
    pub why: String,
    pub advice: String,
    /// The LSN at which it is true; 0 where there is none.
    pub lsn: u64,
    /// Whoever read our output has gone: there is nobody to tell.
    pub silent: bool,
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(
        exit: Exit,
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) -> Failure {
        Failure {
            exit,
            what: what.into(),
            why: why.into(),
            advice: advice.into(),
            lsn: 0,
            silent: false,
        }
    }

    pub fn usage(
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) -> Failure {
        Failure::new(Exit::Usage, what, why, advice)
    }

    /// A local file that could not be read or written.
    pub fn local(verb: &str, path: &Path, error: &io::Error) -> Failure {
        let what = format!(
            "cannot {verb} {}",
            quote::shown(path.as_os_str().as_bytes())
        );
        let advice = match Exit::of_local(error.kind()) {
            Exit::NotFound => "Check the local path",
            Exit::Denied => "Ask for the right to it, or run as another user",
            Exit::NoSpace => "Free some space on this machine",
            Exit::Conflict => "Choose another local name",
            _ => "Mend what the operating system says, and run it again",
        };
        Failure::new(
            Exit::of_local(error.kind()),
            what,
            error.to_string(),
            advice,
        )
    }

    /// Standard output could not be written. A closed pipe is the reader's choice, not an error.
    pub fn output(error: &io::Error) -> Failure {
        let path = Path::new("standard output");
        let mut failure = Failure::local("write to", path, error);
        if error.kind() == io::ErrorKind::BrokenPipe {
            failure.silent = true;
            failure.exit = Exit::Done;
        }
        failure
    }

    pub fn address(argument: &OsStr, bad: BadAddress) -> Failure {
        let what = format!("bad address `{}`", quote::shown(argument.as_bytes()));
        Failure::usage(what, bad.why, bad.advice)
    }

    /// A refusal that only names an object becomes a sentence: `cannot list /a`.
    pub(crate) fn while_doing(mut self, doing: &str) -> Failure {
        if let Some(path) = self.what.strip_prefix("stat /") {
            self.what = format!("/{path}");
        }
        if self.what.starts_with('/') {
            self.what = format!("cannot {doing} {}", self.what);
        }
        self
    }

    /// The lines for standard error.
    pub fn lines(&self, request_id: &str) -> String {
        let mut text = format!("error: {}\n", quote::one_line(&self.what));
        text.push_str(&format!("  why: {}\n", quote::one_line(&self.why)));
        text.push_str(&format!("  do:  {}\n", quote::one_line(&self.advice)));
        text.push_str(&format!("  request_id {request_id}"));
        if self.lsn > 0 {
            text.push_str(&format!("  lsn {}", self.lsn));
        }
        text.push('\n');
        text
    }

    /// The same for machines (`-o json`), on standard error too.
    pub fn json(&self, request_id: &str) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": crate::json::API_VERSION,
            "kind": "Error",
            "exit": self.exit as u8,
            "what": self.what,
            "why": self.why,
            "do": self.advice,
            "lsn": self.lsn,
            "request_id": request_id,
        })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let said = refusal.get();
        let mut exit = Exit::of(refusal.code());
        if exit == Exit::TimedOut && said.not_done {
            exit = Exit::Unavailable;
        }
        let mut why = said.why.clone();
        if refusal.code() == Code::Trimmed && said.log_time_us > 0 {
            let (lsn, time) = (said.lsn, calendar::format(said.log_time_us));
            why = format!("the oldest that can be read is lsn {lsn}, of {time}");
        }
        if !said.primary.is_empty() {
            why.push_str(&format!(" (responsible: {})", said.primary));
        }
        Failure {
            exit,
            what: said.what.clone(),
            why,
            advice: said.advice.clone(),
            lsn: said.lsn,
            silent: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_three_lines_and_one_for_the_record() {
        let refusal = Refusal::new(Code::NotFound, "no /t/f", "there is no `f` in /t").at(1219);
        let failure = Failure::from(refusal);
        let expected = "error: no /t/f\n  why: there is no `f` in /t\n  \
            do:  Check the path and the moment (@…) it was asked at\n  request_id 0a  lsn 1219\n";
        assert_eq!(failure.lines("0a"), expected);
        assert_eq!(failure.exit, Exit::NotFound);
        assert_eq!(failure.json("0a")["exit"], 3);
    }

    #[test]
    fn what_is_trimmed_names_the_oldest_moment_there_is() {
        let refusal = Refusal::new(
            Code::Trimmed,
            "cannot read at LSN 5",
            "history goes back to LSN 1219",
        );
        let failure = Failure::from(refusal.at_moment(1219, 1_767_225_600_000_000));
        let expected = "error: cannot read at LSN 5\n  why: the oldest that can be read is lsn 1219, of \
            2026-01-01T00:00:00Z\n  do:  Use the archive, or a later moment\n  \
            request_id 0a  lsn 1219\n";
        assert_eq!(failure.lines("0a"), expected);
        assert_eq!(failure.exit, Exit::Trimmed);
    }

    #[test]
    fn a_line_break_in_a_reason_breaks_no_line() {
        let failure = Failure::usage("a\nb", "c", "d");
        assert_eq!(failure.lines("0").lines().count(), 4);
    }

    #[test]
    fn an_object_alone_becomes_a_sentence() {
        let what = |what: &str| Failure::usage(what, "", "").while_doing("list").what;
        assert_eq!(what("/a"), "cannot list /a");
        assert_eq!(what("stat /a"), "cannot list /a");
        assert_eq!(what("bad name"), "bad name");
    }

    #[test]
    fn a_closed_pipe_is_silent() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::output(&gone).silent);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::output(&full).exit, Exit::NoSpace);
        assert!(!Failure::output(&full).silent);
    }
}
