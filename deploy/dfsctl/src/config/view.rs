//! `dfsctl config view`: what is in force and where it comes from, or every key with its default.
use super::{Set, loaded, sources};
use dfs_cli::{Call, Outcome};
use dfs_node::config::keys::{KEYS, Key};
use dfs_node::config::mistake::Place;
use dfs_node::config::shown;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Flags override the environment (DFS_UNITS, DFS_RETENTION__SECONDS), that the file, that the default.

Examples:
  dfsctl config view node.toml
  dfsctl config view node.toml -o json
  DFS_UNITS=6 dfsctl config view node.toml --set rack=r1
  dfsctl config view --defaults > node.toml             every key, commented: a file to begin with"
)]
pub(crate) struct Args {
    /// TOML of a process
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Every key with its unit, bound, default and why, as a commented TOML
    #[arg(long, conflicts_with_all = ["file", "set"])]
    defaults: bool,
    /// Overrides a key, as in `serve`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Set>,
}

pub(super) fn run(call: &Call, args: &Args) -> Outcome {
    if args.defaults {
        let smallest = shown::smallest();
        let of = |key: &Key| described(key, (key.get)(&smallest), &Place::Default);
        let fields = json!({ "keys": KEYS.iter().map(of).collect::<Vec<_>>() });
        let text = shown::defaults();
        return call
            .output
            .data("Configuration", 0, fields, b"defaults", text.trim_end());
    }
    let loaded = loaded(&sources(args.file.as_deref(), &args.set))?;
    let of = |key: &Key| described(key, (key.get)(&loaded.config), &loaded.place(key));
    let fields = json!({ "keys": KEYS.iter().map(of).collect::<Vec<_>>() });
    let text = shown::effective(&loaded);
    let name = args.file.as_ref().map(|file| file.display().to_string());
    let name = name.unwrap_or_default().into_bytes();
    call.output
        .data("Configuration", 0, fields, &name, text.trim_end())
}

fn described(key: &Key, value: Option<impl serde::Serialize>, place: &Place) -> Value {
    json!({
        "key": key.name,
        "value": value,
        "from": place.to_string(),
        "variable": key.variable(),
        "unit": key.unit,
        "allowed": key.kind.allowed(),
        "default": key.default,
        "what": key.what,
        "why": key.why,
    })
}
