//! `dfsctl config`: settings of the cluster; configurations of processes, before they start and as they are in force.
mod diff;
mod validate;
mod view;

use crate::system::{self, End};
use clap::Subcommand;
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::ConfigError;
use dfs_node::config::keys::KEYS;
use dfs_node::config::load::{Flag, Loaded, Sources, load};
use dfs_node::config::shown;
use dfs_wire::settings;
use std::path::{Path, PathBuf};

#[derive(Subcommand, Debug)]
#[command(after_help = help())]
pub(crate) enum Args {
    #[command(flatten)]
    Cluster(dfs_cli::Config),
    /// Show what is in force of a process's own TOML, and where each key comes from
    View(view::Args),
    /// Check configurations of processes: exit code 2 and a line per mistake
    Validate(validate::Args),
    /// Show which keys of two configurations of processes differ
    Diff(diff::Args),
}

fn help() -> String {
    format!(
        "set, unset, get, history and settings are about the cluster: records of its log, which everybody follows.\n\
         view, validate and diff are about one process: its own TOML, environment and flags, read when it starts.\n\n{}",
        shown::help()
    )
}

/// What a name is that is no setting of the cluster.
pub(crate) fn elsewhere(name: &str) -> Option<(String, String)> {
    let key = KEYS
        .iter()
        .find(|key| key.name == name || key.last() == name)?;
    let (name, variable) = (key.name, key.variable());
    if let Some(setting) = settings::made_by(name) {
        let why = format!("`{name}` is of a process's TOML, and says what a cluster is made with");
        let advice = format!("Once it is made: dfsctl config set {} VALUE", setting.name);
        return Some((why, advice));
    }
    let place = match key.section() {
        Some(section) => format!("[{section}] {}", key.last()),
        None => name.into(),
    };
    let why = format!("`{name}` belongs to each process, not to the cluster");
    let advice =
        format!("Write {place} = ... into the process's TOML (or {variable}), and start it again");
    Some((why, advice))
}

pub(crate) async fn run(call: &Call, args: Args) -> Exit {
    match args {
        Args::Cluster(config) => dfs_cli::run_config(call, config, elsewhere).await,
        args => system::end(call, of_processes(call, &args)),
    }
}

fn of_processes(call: &Call, args: &Args) -> Outcome<End> {
    let done = match args {
        Args::Cluster(_) => return Ok(End::Done),
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
