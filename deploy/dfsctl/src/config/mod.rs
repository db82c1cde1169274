//! `dfsctl config`: configurations of processes, before they start and as they are in force.
mod diff;
mod validate;
mod view;

use crate::system::End;
use clap::Subcommand;
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::ConfigError;
use dfs_node::config::load::{Flag, Loaded, Sources, load};
use dfs_node::config::shown;
use std::path::{Path, PathBuf};

#[derive(Subcommand, Debug)]
#[command(after_help = shown::help())]
pub(crate) enum Args {
    /// Show what is in force, and where each key comes from
    View(view::Args),
    /// Check configurations: exit code 2 and a line per mistake
    Validate(validate::Args),
    /// Show which keys of two configurations differ
    Diff(diff::Args),
}

pub(crate) fn run(call: &Call, args: &Args) -> Outcome<End> {
    let done = match args {
        Args::View(args) => view::run(call, args),
        Args::Validate(args) => return validate::run(call, args),
        Args::Diff(args) => diff::run(call, args),
    };
    done.map(|()| End::Done)
}

/// `KEY=VALUE`, as `--set` takes it.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    key: String,
    value: String,
}

impl std::str::FromStr for Set {
    type Err = String;

    fn from_str(typed: &str) -> Result<Set, String> {
        let (key, value) = typed.split_once('=').ok_or("KEY=VALUE is expected")?;
        Ok(Set {
            key: key.trim().into(),
            value: value.trim().into(),
        })
    }
}

impl From<&Set> for Flag {
    fn from(set: &Set) -> Flag {
        Flag {
            typed: format!("--set {}", set.key),
            key: set.key.clone(),
            value: set.value.clone(),
        }
    }
}

/// What a process that is started here and now would read.
pub(crate) fn sources(file: Option<&Path>, set: &[Set]) -> Sources {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Sources {
        file: file.map(PathBuf::from),
        variables: std::env::vars_os().filter_map(text).collect(),
        flags: set.iter().map(Flag::from).collect(),
    }
}

/// One error: the first mistake, and how many more there are.
pub(crate) fn loaded(sources: &Sources) -> Outcome<Loaded> {
    load(sources).map_err(|error| failure(&error))
}

fn failure(error: &ConfigError) -> Failure {
    let exit = match error.unreadable {
        Some(kind) => Exit::of_local(kind),
        None => Exit::Usage,
    };
    let first = error.mistakes.first();
    let mut why = first.map(ToString::to_string).unwrap_or_default();
    let advice = match error.mistakes.len() {
        0 | 1 => "Correct it; dfsctl config view --defaults shows every key",
        more => {
            why.push_str(&format!(" (and {} more)", more - 1));
            "Correct it; dfsctl config validate FILE lists all mistakes"
        }
    };
    Failure::new(exit, "cannot use the configuration", why, advice)
}
