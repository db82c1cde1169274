//! `dfsctl config diff`: which keys of two configurations, or of one and the defaults, differ.
use super::loaded;
use dfs_cli::output::{Column, Item};
use dfs_cli::{Call, Outcome};
use dfs_node::config::load::{Flag, Sources};
use dfs_node::config::mistake::Place;
use dfs_node::config::shown::{self, Difference, NOTHING};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "Files alone are compared, without the environment.

Examples:
  dfsctl config diff deploy/config/one-host/unit-1.toml deploy/config/one-host/unit-2.toml
  dfsctl config diff node.toml                          what differs from the defaults")]
pub(crate) struct Args {
    /// TOML of a process
    #[arg(value_name = "FILE")]
    one: PathBuf,
    /// Another; none: the defaults
    #[arg(value_name = "FILE")]
    other: Option<PathBuf>,
}

pub(super) fn run(call: &Call, args: &Args) -> Outcome {
    let file = |file: &PathBuf| Sources {
        file: Some(file.clone()),
        ..Sources::default()
    };
    let one = loaded(&file(&args.one))?;
    let differences = match &args.other {
        Some(other) => shown::differences(&one, &loaded(&file(other))?),
        // From the defaults to the file: what the file changes.
        None => shown::differences(&loaded(&defaults())?, &one),
    };
    let columns = ["KEY", "ONE", "OTHER", "FROM", "FROM"].map(Column::text);
    let mut list = call.output.list("DifferenceList", columns.to_vec());
    for difference in &differences {
        list.push(0, item(difference))?;
    }
    list.end(0, false)
}

fn defaults() -> Sources {
    let dir = Flag {
        typed: "default".into(),
        key: "dir".into(),
        value: shown::smallest().dir.display().to_string(),
    };
    Sources {
        flags: vec![dir],
        ..Sources::default()
    }
}

fn item(difference: &Difference) -> Item {
    let value = |value: &Option<_>| match value {
        Some(value) => format!("{value}"),
        None => NOTHING.to_string(),
    };
    let (one, other) = (&difference.one, &difference.other);
    let side =
        |(value, place): &(Option<_>, Place)| json!({ "value": value, "from": place.to_string() });
    Item {
        json: json!({ "key": difference.key.name, "one": side(one), "other": side(other) }),
        name: difference.key.name.into(),
        cells: vec![
            difference.key.name.into(),
            value(&one.0),
            value(&other.0),
            one.1.to_string(),
            other.1.to_string(),
        ],
    }
}
