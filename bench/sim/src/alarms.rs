//! What nobody returns but everybody must hear of: panics, logged errors, processes that do not start.
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// More say nothing new.
const KEPT_MAX: usize = 20;

thread_local! {
    /// A simulated world runs on one thread, and so does everything in it.
    static RAISED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What a scenario brings about itself.
    static EXPECTED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// From now on what holds one of these words is no alarm, until the next `take`.
pub(crate) fn expect(words: &[&'static str]) {
    EXPECTED.with_borrow_mut(|expected| expected.extend(words));
}

pub(crate) fn raise(what: String) {
    if EXPECTED.with_borrow(|expected| expected.iter().any(|words| what.contains(words))) {
        return;
    }
    RAISED.with_borrow_mut(|raised| {
        if raised.len() < KEPT_MAX {
            raised.push(what);
        }
    });
}

/// Takes what was raised on this thread.
pub(crate) fn take() -> Vec<String> {
    EXPECTED.take();
    RAISED.take()
}

/// Runs `f` with panics and logged errors raised; `shows`: warnings and errors are printed as well.
pub(crate) fn listening<T>(shows: bool, f: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            raise(format!("panic: {panic}"));
            former(panic);
        }));
    });
    let subscriber = tracing_subscriber::registry().with(Errors { shows });
    tracing::subscriber::with_default(subscriber, f)
}

struct Errors {
    shows: bool,
}

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let ours = event.metadata().target().starts_with("dfs");
        if level > Level::WARN || !(ours || self.shows) {
            return;
        }
        let mut text = Text(format!("{level} {}:", event.metadata().target()));
        event.record(&mut text);
        if self.shows {
            eprintln!("{}", text.0);
        }
        if ours && level == Level::ERROR {
            raise(text.0);
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name()); // a String takes everything
    }
}
