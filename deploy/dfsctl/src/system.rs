//! A system in this process: from start to an orderly stop.
use dfs_cli::{Call, Exit, Failure, Outcome};
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use dfs_wire::Refusal;
use futures::future::{join_all, select_all};
use std::{io, iter};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why a process that serves came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It did what it was to do.
    Done,
    /// Ctrl-C.
    Interrupted,
    /// It did what it was to do, and what it found is told by its exit code.
    Found(Exit),
}

/// The signals that end a process in order. Caught from the moment it is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn catch() -> Outcome<Signals> {
        let catch = |kind| signal(kind).map_err(|e| no_signals(&e));
        Ok(Signals {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// SIGTERM, SIGHUP or Ctrl-C.
    pub(crate) async fn next(&mut self) -> End {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => End::Done,
            _ = self.hang_up.recv() => End::Done,
            _ = self.interrupt.recv() => End::Interrupted,
        }
    }
}

pub(crate) fn no_signals(error: &io::Error) -> Failure {
    let what = "cannot catch signals";
    Failure::new(Exit::Other, what, error.to_string(), "Start it again")
}

/// Starts what the configuration says and waits until it serves; `None` when a signal came first.
pub(crate) async fn start(
    call: &Call,
    config: NodeConfig,
    signals: &mut Signals,
) -> Outcome<Result<Node, End>> {
    let listen = config.listen.clone();
    let starting = Box::pin(Node::start(&call.env, config));
    tokio::select! {
        biased;
        started = starting => Ok(Ok(started.map_err(|e| not_started(&e, &listen))?)),
        end = signals.next() => Ok(Err(end)),
    }
}

/// The nodes of this process: one, or more in a system for development.
pub(crate) struct Nodes {
    /// Runs all that the others need.
    pub(crate) first: Node,
    pub(crate) others: Vec<Node>,
}

impl From<Node> for Nodes {
    fn from(first: Node) -> Nodes {
        let others = Vec::new();
        Nodes { first, others }
    }
}

impl Nodes {
    fn all(&self) -> impl Iterator<Item = &Node> {
        iter::once(&self.first).chain(&self.others)
    }

    /// Waits until reads and writes are served by each.
    pub(crate) async fn ready(&self) {
        join_all(self.all().map(Node::ready)).await;
    }

    /// Waits until a role of one has ended for good, and says why.
    pub(crate) async fn failed(&self) -> Refusal {
        let failed = self.all().map(|node| Box::pin(node.failed()));
        select_all(failed).await.0
    }

    /// In order: the first one last.
    pub(crate) async fn stop(self) {
        let stopping = |node: Node| Box::pin(node.stop());
        join_all(self.others.into_iter().map(stopping)).await;
        stopping(self.first).await;
    }
}

/// Serves until a signal comes or a role ends for good, then stops in order.
pub(crate) async fn serve(nodes: impl Into<Nodes>, signals: &mut Signals) -> Outcome<End> {
    let nodes = nodes.into();
    let ended = tokio::select! {
        biased;
        end = signals.next() => Ok(end),
        refusal = nodes.failed() => Err(Failure::from(refusal)),
    };
    nodes.stop().await;
    ended
}

/// The exit code of a process that served.
pub(crate) fn end(call: &Call, done: Outcome<End>) -> Exit {
    match done {
        Ok(End::Interrupted) => call.end(Ok(())).worse(Exit::Interrupted),
        Ok(End::Found(exit)) => call.end(Ok(())).worse(exit),
        Ok(End::Done) => call.end(Ok(())),
        Err(failure) => call.end(Err(failure)),
    }
}

/// The outermost sentence is what, the innermost why.
fn not_started(error: &anyhow::Error, listen: &str) -> Failure {
    if let Some(refusal) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refusal>())
    {
        let mut failure = Failure::from(refusal.clone());
        failure.what = format!("{error}: {}", failure.what);
        return failure;
    }
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    let kind = cause.map(io::Error::kind);
    let (exit, advice) = match kind {
        Some(io::ErrorKind::AddrInUse) => (
            Exit::Conflict,
            format!(
                "Stop what listens on {listen}, or choose another port (--port N, or listen = …)"
            ),
        ),
        Some(io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock) => (
            Exit::State,
            "Stop the process that uses the directory, or choose another".to_string(),
        ),
        Some(kind) => (Exit::of_local(kind), "Mend it, and start again".to_string()),
        None => (Exit::Usage, "Mend it, and start again".to_string()),
    };
    let why = match error.chain().count() {
        0 | 1 => "see above".to_string(),
        _ => error.root_cause().to_string(),
    };
    Failure::new(exit, error.to_string(), why, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_taken_port_is_named() {
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        let listen = "127.0.0.1:9010";
        let error = Err::<(), _>(taken).context(format!("cannot listen on {listen}: is it taken?"));
        let failure = not_started(&error.expect_err("taken"), listen);
        assert_eq!(failure.exit, Exit::Conflict);
        assert!(failure.what.contains(listen) && failure.advice.contains("--port"));
    }
}
