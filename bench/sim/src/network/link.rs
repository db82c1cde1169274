//! One connection: calls and streams over it, each message with a delay of its own and in order.
use super::{Host, Network};
use dfs_env::{Env, Task};
use dfs_rpc::roles::{Answers, Requests};
use dfs_rpc::serve::Roles;
use dfs_wire::{Code, Refusal};
use futures::StreamExt;
use futures::stream;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Messages of one stream under way: as many as a few windows of HTTP/2 hold.
const STREAM_MESSAGES_MAX: usize = 64;

/// From one incarnation of a process to one of another.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) network: Network,
    pub(super) from: Env,
    /// Names of both processes.
    pub(super) ends: (String, String),
    pub(super) who: String,
    pub(super) to: Host,
}

/// A task of the link that ends when nobody is interested any more, as a reset stream does.
pub(super) struct Held<T>(Task<T>);

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Sent<T> {
    Item(Result<T, Refusal>),
    /// The role ended the stream; without it, the connection broke.
    End,
}

type Under<T> = (Instant, T);

/// Makes the second of two where a message may arrive twice.
pub(super) type Double<T> = fn(&Network, &T) -> T;

impl Link {
    pub(super) fn note(&self, what: &str, message: &impl Message) {
        let bytes = message.encode_to_vec();
        self.network.note(&self.from, what, &self.who, &bytes);
    }

    fn delay(&self) -> Duration {
        let (one, other) = &self.ends;
        self.network.delay(one, other)
    }

    async fn passes(&self) {
        let (one, other) = &self.ends;
        self.network.passes(&self.from, one, other).await;
    }

    /// The way there; refused when nobody is there any more.
    pub(super) async fn there(&self, what: &'static str) -> Result<(), Refusal> {
        self.from.sleep(self.delay()).await;
        self.passes().await;
        if self.to.env.is_crashed() {
            return Err(Refusal::new(Code::Unavailable, what, "connection refused"));
        }
        Ok(())
    }

    /// The role, if it runs there now.
    pub(super) fn role<R: ?Sized>(
        &self,
        what: &'static str,
        pick: impl FnOnce(&Roles) -> Option<Arc<R>>,
    ) -> Result<Arc<R>, Refusal> {
        let why = "that role does not run here, or not yet";
        self.to
            .role(pick)
            .ok_or_else(|| Refusal::new(Code::Unavailable, what, why))
    }

    /// Runs a handler in the group of the process that answers.
    pub(super) async fn handled<T: Send + 'static>(
        &self,
        what: &'static str,
        handler: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let mut task = Held(self.to.env.spawn("handler", handler));
        match (&mut task.0).await {
            Ok(answered) => answered,
            Err(_) => Err(broke(what)),
        }
    }

    /// The way back of one answer.
    pub(super) async fn back<T: Message>(
        &self,
        what: &'static str,
        answered: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        match &answered {
            Ok(message) => self.note(what, message),
            Err(refusal) => self.note(what, refusal.get()),
        }
        self.from.sleep(self.delay()).await;
        self.passes().await;
        answered
    }

    /// One request, one answer.
    pub(super) async fn call<R, Q, A, F>(
        &self,
        what: &'static str,
        request: &Q,
        pick: impl FnOnce(&Roles) -> Option<Arc<R>> + Send,
        act: impl FnOnce(Arc<R>) -> F + Send,
    ) -> Result<A, Refusal>
    where
        R: ?Sized + Send + Sync,
        Q: Message,
        A: Message + 'static,
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        self.note(what, request);
        self.there(what).await?;
        let answered = match self.role(what, pick) {
            Ok(role) => self.handled(what, act(role)).await,
            Err(refusal) => Err(refusal),
        };
        self.back(what, answered).await
    }

    /// What the caller streams, as it arrives at the other side.
    pub(super) fn outgoing<T: Message + 'static>(
        &self,
        what: &'static str,
        requests: Requests<T>,
        double: Option<Double<T>>,
    ) -> (Requests<T>, Held<()>) {
        let (sender, receiver) = mpsc::channel(STREAM_MESSAGES_MAX);
        let link = self.clone();
        let pump = self.from.spawn("link out", async move {
            link.pump_out(what, requests, sender, double).await;
        });
        let env = self.to.env.clone();
        let arriving = stream::unfold((receiver, env), |(mut receiver, env)| async move {
            let (at, message): Under<T> = receiver.recv().await?;
            env.sleep(at.saturating_duration_since(env.now())).await;
            Some((message, (receiver, env)))
        });
        (arriving.boxed(), Held(pump))
    }

    async fn pump_out<T: Message>(
        &self,
        what: &'static str,
        mut requests: Requests<T>,
        sender: mpsc::Sender<Under<T>>,
        double: Option<Double<T>>,
    ) {
        let mut last = self.from.now();
        loop {
            let message = tokio::select! {
                biased;
                () = sender.closed() => return,
                message = requests.next() => message,
            };
            let Some(message) = message else { return };
            self.passes().await;
            self.note(what, &message);
            let twice = double
                .filter(|_| self.network.doubles())
                .map(|double| double(&self.network, &message));
            for message in std::iter::once(message).chain(twice) {
                last = last.max(self.from.now() + self.delay());
                if sender.send((last, message)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Opens a stream of answers; `out` is held for as long as somebody reads them.
    pub(super) async fn answers<T, F>(
        &self,
        what: &'static str,
        handler: F,
        out: Option<Held<()>>,
    ) -> Result<Answers<T>, Refusal>
    where
        T: Message + 'static,
        F: Future<Output = Result<Answers<T>, Refusal>> + Send + 'static,
    {
        let answers = self.handled(what, handler).await;
        self.from.sleep(self.delay()).await;
        self.passes().await;
        let answers = answers?;
        let (sender, receiver) = mpsc::channel(STREAM_MESSAGES_MAX);
        let link = self.clone();
        self.to.env.spawn("link back", async move {
            link.pump_back(what, answers, sender).await;
        });
        let state = Some((receiver, out, self.from.clone()));
        let arriving = stream::unfold(state, move |state| async move {
            let (mut receiver, out, env) = state?;
            let Some((at, sent)) = receiver.recv().await else {
                return Some((Err(broke(what)), None));
            };
            let at: Instant = at;
            env.sleep(at.saturating_duration_since(env.now())).await;
            match sent {
                Sent::Item(Ok(message)) => Some((Ok(message), Some((receiver, out, env)))),
                Sent::Item(Err(refusal)) => Some((Err(refusal), None)),
                Sent::End => None,
            }
        });
        Ok(arriving.boxed())
    }

    async fn pump_back<T: Message>(
        &self,
        what: &'static str,
        mut answers: Answers<T>,
        sender: mpsc::Sender<Under<Sent<T>>>,
    ) {
        let mut last = self.from.now();
        loop {
            let answer = tokio::select! {
                biased;
                () = sender.closed() => return,
                answer = answers.next() => answer,
            };
            let (sent, ends) = match answer {
                Some(answer) => {
                    match &answer {
                        Ok(message) => self.note(what, message),
                        Err(refusal) => self.note(what, refusal.get()),
                    }
                    let ends = answer.is_err();
                    (Sent::Item(answer), ends)
                }
                None => (Sent::End, true),
            };
            self.passes().await;
            last = last.max(self.from.now() + self.delay());
            if sender.send((last, sent)).await.is_err() || ends {
                return;
            }
        }
    }
}

/// A call that broke under way may have been carried out.
fn broke(what: &'static str) -> Refusal {
    Refusal::new(Code::TimedOut, what, "the connection broke")
}
