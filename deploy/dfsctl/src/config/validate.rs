//! `dfsctl config validate`: every mistake of every file, a line each.
use super::sources;
use crate::system::End;
use dfs_cli::output::{Column, Item};
use dfs_cli::{Call, Exit, Outcome};
use dfs_node::config::load::load;
use dfs_node::config::mistake::{Mistake, Place};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Nothing is printed of files without a mistake. What is checked is what `serve` checks, with the
environment (DFS_…) of this shell.

Examples:
  dfsctl config validate deploy/config/one-host/*.toml
  dfsctl config validate node.toml -o jsonl"
)]
pub(crate) struct Args {
    /// TOML of a process
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(call: &Call, args: &Args) -> Outcome<End> {
    let mut list = call.output.list("MistakeList", vec![Column::text("")]);
    let mut mistakes = 0;
    for file in &args.files {
        let Err(error) = load(&sources(Some(file), &[])) else {
            continue;
        };
        for mistake in &error.mistakes {
            list.push(0, item(mistake))?;
            mistakes += 1;
        }
    }
    list.end(0, false)?;
    match mistakes {
        0 => Ok(End::Done),
        _ => Ok(End::Found(Exit::Usage)),
    }
}

fn item(mistake: &Mistake) -> Item {
    let (file, line, column) = match &mistake.place {
        Place::File { path, line, column } => (Some(path), Some(line), Some(column)),
        Place::Whole(path) => (Some(path), None, None),
        _ => (None, None, None),
    };
    Item {
        json: json!({
            "file": file,
            "line": line,
            "column": column,
            "place": mistake.place.to_string(),
            "key": mistake.key,
            "found": mistake.found.trim_start_matches([' ', '=']),
            "allowed": mistake.allowed,
        }),
        name: mistake.place.to_string().into_bytes(),
        cells: vec![mistake.to_string()],
    }
}
