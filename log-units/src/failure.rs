//! How a role says that it has to end (LOG-U3): once, to whoever supervises it.

use std::sync::Arc;

use tokio::sync::watch;

/// Clones are the same switch.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    why: Arc<watch::Sender<Option<String>>>,
}

impl Failure {
    pub(crate) fn new() -> Failure {
        Failure {
            why: Arc::new(watch::Sender::new(None)),
        }
    }

    /// The first reason stays.
    pub(crate) fn set(&self, why: String) {
        self.why.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                tracing::error!(why, "end the role of a log unit");
                *known = Some(why);
            }
            first
        });
    }

    pub(crate) fn is_set(&self) -> bool {
        self.why.borrow().is_some()
    }

    /// Waits until the role has failed.
    pub(crate) async fn wait(&self) -> String {
        let mut why = self.why.subscribe();
        let failed = why.wait_for(Option::is_some).await;
        failed.ok().and_then(|why| why.clone()).unwrap_or_default()
    }
}
