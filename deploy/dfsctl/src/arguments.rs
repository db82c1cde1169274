//! The tree of commands. What is not built yet is not in it.
use crate::{batch, bench, completions, config, dev, man, serve};
use clap::{Parser, Subcommand};
use dfs_cli::globals::Globals;

/// A distributed file system whose only truth is one log
#[derive(Parser, Debug)]
#[command(
    name = "dfsctl",
    version,
    propagate_version = false,
    max_term_width = 100
)]
#[command(
    after_help = "Addresses are [profile:][tree:]/path[@when]; @when is an LSN (@1219), a time (@2026-11-19T10:00Z),
so long ago (@-5m) or @head, and @@ a literal @.
Patterns in addresses of what is there (quote them for the shell): * and ? within a name, [a-z],
{a,b}, and ** for directories of any depth; \\* is a literal *. ? and [...] stand for one byte. A name
that exists as it is typed is that name; with --literal there are no patterns. @when stands behind the pattern: '/demo/**/*.txt@-1h'. No match is exit code 3.

First steps:
  dfsctl dev demo              see it work
  dfsctl dev up                start a system on this machine
  dfsctl put ./photos /photos
  dfsctl ls /photos@-1m

Exit codes: 0 done, 1 other, 2 usage, 3 not found, 4 conflict, 5 denied, 6 unavailable (retry),
7 timed out (outcome unknown), 8 integrity, 9 partial, 10 no space, 11 refused by state, 12 trimmed,
13 verification found a violation, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    #[command(flatten)]
    Client(dfs_cli::Command),
    /// Run a system on this machine
    #[command(subcommand)]
    Dev(dev::Args),
    /// Run roles of a cluster
    Serve(serve::Args),
    /// Measure a system on this disk
    #[command(subcommand)]
    Bench(bench::Args),
    /// Settings of the cluster; configurations of processes
    #[command(subcommand)]
    Config(config::Args),
    /// Run many command lines side by side
    Run(batch::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Print manual pages
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        Arguments::command().debug_assert();
    }

    /// The leaves of the tree: what people run.
    fn leaves(command: &clap::Command, found: &mut Vec<clap::Command>) {
        let mut below = command
            .get_subcommands()
            .filter(|c| c.get_name() != "help")
            .peekable();
        if below.peek().is_none() {
            found.push(command.clone());
        }
        below.for_each(|command| leaves(command, found));
    }

    #[test]
    fn every_command_has_an_example() {
        let mut found = Vec::new();
        leaves(&Arguments::command(), &mut found);
        assert!(found.len() > 30, "{}", found.len());
        for command in found {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("Example"),
                "{} has no example",
                command.get_name()
            );
            assert!(
                command.get_about().is_some(),
                "{} says nothing",
                command.get_name()
            );
        }
    }

    /// deploy/runbook: who is woken at night types what stands there.
    #[test]
    fn the_commands_of_runbooks_are_understood() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../runbook");
        let mut count = 0;
        for file in std::fs::read_dir(dir).expect("runbooks") {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            let commands = text
                .lines()
                .filter_map(|line| line.strip_prefix("- `dfsctl "));
            for command in commands.filter_map(|line| line.split('`').next()) {
                let word = |word: &str| match word {
                    "ADDRESS" => "/a".to_string(),
                    "LSN" => "7".into(),
                    word => word.replace("/N", "/3").replace("N", "3"),
                };
                let words = command.split_whitespace().map(word);
                let words = std::iter::once("dfsctl".into()).chain(words);
                if let Err(error) = Arguments::try_parse_from(words) {
                    panic!("dfsctl {command}: {error}");
                }
                count += 1;
            }
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn the_profile_goes_before_the_command_and_p_means_parents_after_mkdir() {
        let parsed = Arguments::try_parse_from(["dfsctl", "-p", "dev", "mkdir", "-p", "/a"]);
        let parsed = parsed.expect("parses");
        assert_eq!(parsed.globals.profile(), Some("dev"));
    }

    #[test]
    fn flags_stand_anywhere() {
        for line in [
            vec!["dfsctl", "-o", "json", "ls", "/"],
            vec!["dfsctl", "ls", "/", "-o", "json", "--at", "-5m"],
            vec!["dfsctl", "rm", "-r", "-y", "/a", "--dry-run"],
            vec!["dfsctl", "--timeout", "5s", "put", "-j", "4", "a", "/a"],
            vec!["dfsctl", "verify", "digest", "--at", "1219"],
            vec!["dfsctl", "chmod", "-R", "go-w", "/a"],
            vec!["dfsctl", "upload", "a", "/a"],
        ] {
            assert!(Arguments::try_parse_from(&line).is_ok(), "{line:?}");
        }
    }
}
