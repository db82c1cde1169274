//! Exit codes: one total match from a refusal's code, and which of two is worse.
use dfs_wire::Code;
use std::process::ExitCode;

/// What a shell sees. Numbers are part of the interface and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    NotFound = 3,
    /// Exists, conflict, or of the wrong kind.
    Conflict = 4,
    Denied = 5,
    /// Nothing happened; try again.
    Unavailable = 6,
    /// The outcome is unknown.
    TimedOut = 7,
    Integrity = 8,
    /// Some of what was asked was left out.
    Partial = 9,
    NoSpace = 10,
    /// Refused by the state of the cluster.
    State = 11,
    Trimmed = 12,
    Violation = 13,
    Interrupted = 130,
    /// Only of `hdfs dfs`: no such command, as HDFS says it.
    HdfsUsage = 255,
}

/// From the mildest to the worst: what a script must not overlook comes last.
const BY_BADNESS: [Exit; 16] = [
    Exit::Done,
    Exit::Partial,
    Exit::NotFound,
    Exit::Conflict,
    Exit::Usage,
    Exit::HdfsUsage,
    Exit::Unavailable,
    Exit::Trimmed,
    Exit::Denied,
    Exit::State,
    Exit::NoSpace,
    Exit::Other,
    Exit::TimedOut,
    Exit::Interrupted,
    Exit::Integrity,
    Exit::Violation,
];

impl Exit {
    /// What a batch returns of two.
    pub fn worse(self, other: Exit) -> Exit {
        let rank = |exit| BY_BADNESS.iter().position(|e| *e == exit);
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }

    /// Of another dfsctl that has ended.
    pub fn from_number(number: u8) -> Option<Exit> {
        BY_BADNESS.into_iter().find(|exit| *exit as u8 == number)
    }

    pub fn of(code: Code) -> Exit {
        match code {
            Code::Unspecified => Exit::Other,
            Code::Invalid | Code::Mismatch => Exit::Usage,
            Code::NotFound => Exit::NotFound,
            Code::Exists | Code::NotEmpty | Code::WrongKind | Code::Conflict => Exit::Conflict,
            Code::Denied => Exit::Denied,
            Code::Unavailable
            | Code::Void
            | Code::Moved
            | Code::Busy
            | Code::Absent
            | Code::NotYet
            | Code::Reaped => Exit::Unavailable,
            Code::TimedOut | Code::SessionGone => Exit::TimedOut,
            Code::NoSpace => Exit::NoSpace,
            Code::State => Exit::State,
            Code::Corrupt | Code::Lost | Code::LogWentBack => Exit::Integrity,
            Code::Trimmed => Exit::Trimmed,
        }
    }

    /// Of something on this machine: a local file, a terminal.
    pub fn of_local(kind: std::io::ErrorKind) -> Exit {
        use std::io::ErrorKind as Kind;
        match kind {
            Kind::NotFound => Exit::NotFound,
            Kind::AlreadyExists
            | Kind::IsADirectory
            | Kind::NotADirectory
            | Kind::DirectoryNotEmpty => Exit::Conflict,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Exit::Denied,
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Exit::NoSpace,
            Kind::TimedOut => Exit::Unavailable,
            Kind::InvalidInput | Kind::InvalidFilename => Exit::Usage,
            _ => Exit::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::{BY_BADNESS, Exit};
    use dfs_wire::Code;

    #[test]
    fn every_code_of_the_wire_has_its_exit() {
        // Numbers without a code end the list; a new code lengthens it and breaks this count.
        let codes: Vec<Code> = (0..64).filter_map(|n| Code::try_from(n).ok()).collect();
        assert_eq!(codes.len(), 24);
        for code in codes {
            let exit = Exit::of(code);
            assert_ne!(exit, Exit::Done, "{code:?}");
            let retryable = dfs_wire::Refusal::new(code, "", "").is_retryable();
            let says_so = matches!(exit, Exit::Unavailable | Exit::TimedOut | Exit::NoSpace);
            assert!(
                !retryable || says_so,
                "{code:?} can be retried, {exit:?} does not say so"
            );
        }
    }

    #[test]
    fn a_batch_returns_the_worst() {
        assert_eq!(Exit::Done.worse(Exit::Partial), Exit::Partial);
        assert_eq!(Exit::NotFound.worse(Exit::Integrity), Exit::Integrity);
        assert_eq!(Exit::Integrity.worse(Exit::NotFound), Exit::Integrity);
        for (i, a) in BY_BADNESS.into_iter().enumerate() {
            for b in BY_BADNESS.into_iter().skip(i) {
                assert_eq!((a.worse(b), b.worse(a)), (b, b));
            }
        }
    }
}
