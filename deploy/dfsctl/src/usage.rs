//! Command lines that cannot be understood, told like every other failure; help and versions as they are.
use crate::arguments::Arguments;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error, FromArgMatches};
use dfs_cli::globals::Globals;
use dfs_cli::output::Output;
use dfs_cli::{Call, Exit, Failure};
use dfs_env::Env;
use std::error::Error as _;

/// Says why there are no arguments, or what was asked for instead of a command.
pub(crate) fn told(error: &Error) -> Exit {
    let help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || !error.use_stderr() {
        // A reader that has gone needs no help.
        let _ = error.print();
        return if help { Exit::Usage } else { Exit::Done };
    }
    let call = Call::new(Env::real(), globals(), Output::stdout());
    call.end(Err(failure(error)))
}

/// The flags as far as they can be understood: they say how errors look.
fn globals() -> Globals {
    let matches = Arguments::command().ignore_errors(true).try_get_matches();
    let globals = matches.ok().map(|m| Globals::from_arg_matches(&m));
    globals.and_then(Result::ok).unwrap_or_default()
}

fn failure(error: &Error) -> Failure {
    let text = error.render().to_string();
    let (mut what, mut advice) = (String::new(), Vec::new());
    for (i, block) in text.split("\n\n").enumerate() {
        let block = block.split_whitespace().collect::<Vec<_>>().join(" ");
        match block.strip_prefix("tip: ") {
            _ if i == 0 => what = block.trim_start_matches("error: ").to_string(),
            Some(tips) => advice.extend(tips.split(" tip: ").map(str::to_string)),
            None if block.starts_with("Usage: ") => advice.push(block),
            None => {}
        }
    }
    let why = why(error, &mut what);
    if advice.is_empty() {
        advice.push("See what the command takes with --help".into());
    }
    Failure::usage(what, format!("{why}; nothing was done"), advice.join("; "))
}

/// What clap has put behind what is wrong goes into a line of its own.
fn why(error: &Error, what: &mut String) -> String {
    if let Some(source) = error.source().map(ToString::to_string) {
        let short = what.strip_suffix(&format!(": {source}"));
        *what = short.unwrap_or(what).to_string();
        return source;
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => {
            let short = what
                .split_once(" [possible values:")
                .map(|(short, _)| short.to_string());
            *what = short.unwrap_or_else(|| what.clone());
            format!("it takes {}", values.join(", "))
        }
        _ => "the command line is not understood".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::failure;
    use crate::arguments::Arguments;
    use clap::Parser;

    /// What, why and what to do of a command line that is refused.
    fn told(line: &str) -> (String, String, String) {
        let words = std::iter::once("dfsctl").chain(line.split(' '));
        let failure = failure(&Arguments::try_parse_from(words).expect_err("refused"));
        assert!(
            failure.why.ends_with("; nothing was done"),
            "{}",
            failure.why
        );
        (failure.what, failure.why, failure.advice)
    }

    #[test]
    fn a_suggestion_is_kept() {
        let (what, _, advice) = told("stta /a");
        assert_eq!(what, "unrecognized subcommand 'stta'");
        assert!(
            advice.contains("'stat'") && advice.contains("Usage: dfsctl"),
            "{advice}"
        );
        let (what, _, advice) = told("ls --recursiv /");
        assert_eq!(what, "unexpected argument '--recursiv' found");
        assert!(advice.contains("'--recursive'"), "{advice}");
    }

    #[test]
    fn what_a_value_should_be_is_the_reason() {
        let (what, why, _) = told("ls --consistency stale");
        assert_eq!(what, "invalid value 'stale' for '--consistency <MODE>'");
        assert!(
            why.starts_with("write linearizable, at-least:1219"),
            "{why}"
        );
        let (what, why, _) = told("ls -o xml");
        assert_eq!(what, "invalid value 'xml' for '--output <OUTPUT>'");
        assert!(why.starts_with("it takes table, wide, json"), "{why}");
    }

    #[test]
    fn what_is_missing_is_named_on_one_line() {
        let (what, _, advice) = told("put");
        assert!(
            what.ends_with("were not provided: <LOCAL> <ADDRESS>..."),
            "{what}"
        );
        assert!(advice.contains("Usage: dfsctl put [OPTIONS]"), "{advice}");
    }
}
