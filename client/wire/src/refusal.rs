//! The one refusal of every role: what was refused, what is guaranteed not to have happened, what to do.
use crate::v1;
use std::fmt;

pub use v1::RefusalCode as Code;

/// A refusal as it travels (`refusal.proto`), usable as an error. Boxed: refusals are rare.
#[derive(Clone, PartialEq)]
pub struct Refusal(Box<v1::Refusal>);

impl Refusal {
    /// `what` names the object, `why` the cause; advice and retryability follow from the code until set otherwise.
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal(Box::new(v1::Refusal {
            code: code as i32,
            what: what.into(),
            why: why.into(),
            advice: advice(code).to_string(),
            retryable: retryable(code),
            not_done: code != Code::TimedOut,
            primary: String::new(),
            lsn: 0,
            log_time_us: 0,
        }))
    }

    pub fn advice(mut self, advice: impl Into<String>) -> Refusal {
        self.0.advice = advice.into();
        self
    }

    /// The address of whoever is responsible.
    pub fn primary(mut self, address: impl Into<String>) -> Refusal {
        self.0.primary = address.into();
        self
    }

    /// The LSN at which this refusal is true.
    pub fn at(mut self, lsn: u64) -> Refusal {
        self.0.lsn = lsn;
        self
    }

    /// The same, with the log time of that LSN.
    pub fn at_moment(mut self, lsn: u64, log_time_us: u64) -> Refusal {
        (self.0.lsn, self.0.log_time_us) = (lsn, log_time_us);
        self
    }

    pub fn code(&self) -> Code {
        self.0.code()
    }

    pub fn get(&self) -> &v1::Refusal {
        &self.0
    }

    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    pub fn into_wire(self) -> v1::Refusal {
        *self.0
    }
}

impl From<v1::Refusal> for Refusal {
    fn from(wire: v1::Refusal) -> Refusal {
        Refusal(Box::new(wire))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.what, self.0.why)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({}: {})",
            self.code().as_str_name(),
            self.0.what,
            self.0.why
        )
    }
}

impl std::error::Error for Refusal {}

fn retryable(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::TimedOut
            | Code::Void
            | Code::Moved
            | Code::Busy
            | Code::NoSpace
            | Code::NotYet
    )
}

fn advice(code: Code) -> &'static str {
    match code {
        Code::Unspecified => "Report this as a bug",
        Code::Invalid => "Correct the request; it will never succeed as it is",
        Code::NotFound => "Check the path and the moment (@…) it was asked at",
        Code::Exists => "Choose another name, or ask for replacement",
        Code::NotEmpty => "Empty the directory first, or remove it recursively",
        Code::WrongKind => "Name a path of the right kind",
        Code::Conflict => "Read the entry again and decide anew",
        Code::Denied => "Ask for permission",
        Code::Unavailable | Code::Busy | Code::Void | Code::NotYet => "Try again",
        Code::TimedOut => "The outcome is unknown: look before you repeat it",
        Code::Moved => "Ask the primary that is named",
        Code::SessionGone => "Open a new session; an attempt in flight has an unknown outcome",
        Code::NoSpace => "Free some space; service resumes by itself",
        Code::State => "Wait for the state to change, or change it",
        Code::Mismatch => "Check the configuration: this is another cluster, version or node",
        Code::Corrupt => "The damage is reported; another copy is asked",
        Code::Absent => "Refresh the map and ask another holder",
        Code::Trimmed => "Use the archive, or a later moment",
        Code::Reaped => "Refresh the map",
        Code::Lost => "The only copy is damaged: restore it from an archive or salvage the log",
        Code::LogWentBack => {
            "Stop and have a person look: a journal or a unit was restored from old state"
        }
    }
}
