//! What the program says about itself, on standard error. DFSCTL_LOG, else RUST_LOG, else by -q and -v.
use tracing_subscriber::EnvFilter;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// For a person at a terminal.
    Short,
    /// The same with -v only: a command tells its errors itself.
    IfAsked,
    /// For whatever gathers the lines of a server.
    Json,
}

/// Called once, before anything is said.
pub(crate) fn start(lines: Lines, quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) | (false, 0) if lines == Lines::IfAsked => "off",
        (true, _) => "error",
        // Raft warns of what it leaves undone in every election: that is how it is meant to be.
        (false, 0) => "warn,openraft=error",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr)
        // A log that cannot be written (its disk is full) is told by a panic otherwise, which would
        // end the role that had something to say.
        .log_internal_errors(false)
        .with_ansi(false);
    match asked_format().unwrap_or(lines) {
        Lines::Short | Lines::IfAsked => subscriber.compact().init(),
        // Of a request: its id, role and node, in `span`.
        Lines::Json => subscriber.json().with_span_list(false).init(),
    }
}

/// DFSCTL_LOG_FORMAT=json|text, for whatever gathers the lines.
fn asked_format() -> Option<Lines> {
    match std::env::var("DFSCTL_LOG_FORMAT").ok()?.as_str() {
        "json" => Some(Lines::Json),
        "text" => Some(Lines::Short),
        other => {
            dfs_cli::say(&format!(
                "DFSCTL_LOG_FORMAT={other} is passed over: json or text"
            ));
            None
        }
    }
}

/// What was asked for in the environment goes first; nonsense there is told and passed over.
fn filter(level: &str) -> EnvFilter {
    for name in ["DFSCTL_LOG", "RUST_LOG"] {
        let Some(asked) = std::env::var(name).ok().filter(|text| !text.is_empty()) else {
            continue;
        };
        match EnvFilter::try_new(&asked) {
            Ok(filter) => return filter,
            Err(e) => dfs_cli::say(&format!("{name} is passed over: {e}")),
        }
    }
    EnvFilter::new(level)
}
