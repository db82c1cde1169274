//! What is wrong with a configuration: where, the key, what was found, and what is allowed.
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `line` and `column` from 1; a column is a character.
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    /// A file as a whole.
    Whole(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// As it was typed.
    Flag(String),
    /// Nobody said anything.
    Default,
    /// A configuration that was never text.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Place::Whole(path) => write!(f, "{}", path.display()),
            Place::Variable(name) => f.write_str(name),
            Place::Flag(typed) => f.write_str(typed),
            Place::Default => f.write_str("default"),
            Place::Nowhere => Ok(()),
        }
    }
}

/// One mistake; its text is one line that editors and people find their way by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    /// Empty where the text itself is wrong.
    pub key: String,
    /// Continues the key: ` = 0`, ` is missing`.
    pub found: String,
    pub allowed: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::Nowhere {
            write!(f, "{}: ", self.place)?;
        }
        let Mistake { key, found, .. } = self;
        write!(f, "{key}{found}: {}", self.allowed)
    }
}

/// A configuration that cannot be used, with every mistake that was found.
#[derive(Debug)]
pub struct ConfigError {
    /// At least one.
    pub mistakes: Vec<Mistake>,
    /// Where the file could not even be read.
    pub unreadable: Option<io::ErrorKind>,
}

impl ConfigError {
    pub(crate) fn of(mistakes: Vec<Mistake>) -> Result<(), ConfigError> {
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(ConfigError {
            mistakes,
            unreadable: None,
        })
    }
}

impl From<Mistake> for ConfigError {
    fn from(mistake: Mistake) -> ConfigError {
        ConfigError {
            mistakes: vec![mistake],
            unreadable: None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let between = if i == 0 { "" } else { "\n" };
            write!(f, "{between}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
