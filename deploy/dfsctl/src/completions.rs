//! `dfsctl completions`: what a shell needs to complete commands.
use crate::arguments::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use dfs_cli::{Failure, Outcome};
use std::io::Write;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  dfsctl completions bash > ~/.local/share/bash-completion/completions/dfsctl"
)]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "dfsctl", &mut script);
    let written = std::io::stdout().lock().write_all(&script);
    written.map_err(|e| Failure::output(&e))
}
