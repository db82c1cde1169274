//! What was asked of the system, and what came of it: every operation, with its time.
use parking_lot::Mutex;
use serde::Serialize;

/// One operation. No name, line or value is ever used by two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Operation {
    pub(crate) client: String,
    /// µs since the run began; latency counts from when it was due.
    pub(crate) due_us: u64,
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
    pub(crate) act: Act,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// A directory of this name.
    MakeDirectory(String),
    /// An empty file to append to; refused where there is one.
    MakeFile(String),
    /// One line at the end of a file.
    Append {
        file: String,
        line: String,
    },
    /// A file that is too large for its record.
    WriteLarge(String),
    /// A register's content is replaced.
    Write {
        register: String,
        value: String,
    },
    Read {
        register: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Acknowledged, at this LSN.
    Done { lsn: u64 },
    /// A read at `lsn` saw the value that was written at `version`.
    Saw {
        lsn: u64,
        version: u64,
        value: String,
    },
    /// It did not happen and will not.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

impl Act {
    /// For tables.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Act::MakeDirectory(_) => "mkdir",
            Act::MakeFile(_) => "create",
            Act::Append { .. } => "append",
            Act::WriteLarge(_) => "put 40 KiB",
            Act::Write { .. } => "overwrite",
            Act::Read { .. } => "read",
        }
    }
}

impl Operation {
    /// The LSN it was answered with.
    pub(crate) fn lsn(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Done { lsn } | Outcome::Saw { lsn, .. } => Some(lsn),
            Outcome::Refused(_) | Outcome::Unknown(_) => None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }
}

/// All operations of a run, in the order in which they ended.
#[derive(Default)]
pub(crate) struct History {
    operations: Mutex<Vec<Operation>>,
}

impl History {
    pub(crate) fn add(&self, operation: Operation) {
        self.operations.lock().push(operation);
    }

    pub(crate) fn all(&self) -> Vec<Operation> {
        self.operations.lock().clone()
    }
}
