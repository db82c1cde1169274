//! `dfsctl man`: manual pages, made from the same tree of commands as the help.
use crate::arguments::Arguments;
use clap::CommandFactory;
use clap_mangen::Man;
use dfs_cli::{Exit, Failure, Outcome};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  dfsctl man put | man -l -
  dfsctl man --dir ~/.local/share/man/man1     every page, for `man dfsctl-put`")]
pub(crate) struct Args {
    /// The command whose page is printed: put, or node add
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory, which is made if need be
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut tree = Arguments::command().disable_help_subcommand(true);
    tree.build();
    match &args.dir {
        Some(directory) => {
            let made = std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(tree, directory));
            made.map_err(|e| Failure::local("write pages into", directory, &e))
        }
        None => print(tree, &args.command),
    }
}

fn print(tree: clap::Command, words: &[String]) -> Outcome {
    let mut command = &tree;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let what = format!("no page of `{}`", words.join(" "));
            let advice = "See dfsctl --help for what there is";
            Failure::new(Exit::NotFound, what, "there is no such command", advice)
        })?;
    }
    let mut page = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut page);
    let written = rendered.and_then(|()| std::io::stdout().lock().write_all(&page));
    written.map_err(|e| Failure::output(&e))
}
