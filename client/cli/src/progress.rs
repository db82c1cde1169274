//! Progress of a transfer on standard error: a bar on a terminal, JSON lines, or nothing.
use crate::figures;
use crate::globals::{Globals, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How often a person or a program hears of it: more is not read.
pub(crate) const EVERY: Duration = Duration::from_millis(200);

/// How far a transfer has come. Totals are 0 until they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) files: u64,
    pub(crate) files_total: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
    pub(crate) retries: u64,
}

/// Whoever watches a transfer.
pub(crate) enum Watcher {
    Bar(ProgressBar),
    Json { request_id: String },
    Nobody,
}

impl Watcher {
    pub(crate) fn new(globals: &Globals, request_id: &str) -> Watcher {
        let terminal = io::stderr().is_terminal() && !globals.quiet;
        match globals.progress {
            Some(Progress::Json) => Watcher::Json {
                request_id: request_id.to_string(),
            },
            Some(Progress::Bar) => Watcher::Bar(bar()),
            None if terminal => Watcher::Bar(bar()),
            Some(Progress::None) | None => Watcher::Nobody,
        }
    }

    pub(crate) fn watches(&self) -> bool {
        !matches!(self, Watcher::Nobody)
    }

    /// `elapsed` since the transfer began.
    pub(crate) fn show(&self, reached: &Reached, elapsed: Duration) {
        match self {
            Watcher::Bar(bar) => {
                bar.set_length(reached.bytes_total.max(reached.bytes));
                bar.set_position(reached.bytes);
                bar.set_message(sentence(reached, elapsed));
            }
            Watcher::Json { request_id } => {
                let line = json_line(reached, elapsed, request_id);
                // Whoever does not read progress does not stop the transfer.
                let _ = writeln!(io::stderr().lock(), "{line}");
            }
            Watcher::Nobody => {}
        }
    }

    /// Takes the bar away, so that the result stands alone.
    pub(crate) fn end(&self) {
        if let Watcher::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    let plain = ProgressStyle::default_bar();
    let style = ProgressStyle::with_template("[{bar:24}] {msg}").unwrap_or(plain);
    bar.set_style(style.progress_chars("=> "));
    bar
}

fn rate(reached: &Reached, elapsed: Duration) -> u64 {
    let ms = elapsed.as_millis().max(1);
    (u128::from(reached.bytes) * 1000 / ms).min(u128::from(u64::MAX)) as u64
}

fn eta(reached: &Reached, elapsed: Duration) -> Option<Duration> {
    let rate = rate(reached, elapsed);
    let left = reached.bytes_total.checked_sub(reached.bytes)?;
    (rate > 0 && reached.bytes_total > 0).then(|| Duration::from_secs(left.div_ceil(rate)))
}

fn sentence(reached: &Reached, elapsed: Duration) -> String {
    let of =
        |done: String, total: Option<String>| total.map_or(done.clone(), |t| format!("{done}/{t}"));
    let files_total = (reached.files_total > 0).then(|| figures::thousands(reached.files_total));
    let bytes_total = (reached.bytes_total > 0).then(|| figures::bytes(reached.bytes_total));
    let mut text = format!(
        "{} files  {}  {}/s",
        of(figures::thousands(reached.files), files_total),
        of(figures::bytes(reached.bytes), bytes_total),
        figures::bytes(rate(reached, elapsed)),
    );
    if let Some(eta) = eta(reached, elapsed) {
        text.push_str(&format!("  ETA {}", figures::span(eta)));
    }
    if reached.retries > 0 {
        text.push_str(&format!(
            "  {}",
            figures::count(reached.retries, "retry", "retries")
        ));
    }
    text
}

fn json_line(reached: &Reached, elapsed: Duration, request_id: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": crate::json::API_VERSION,
        "kind": "Progress",
        "request_id": request_id,
        "files": reached.files,
        "files_total": reached.files_total,
        "bytes": reached.bytes,
        "bytes_total": reached.bytes_total,
        "bytes_per_s": rate(reached, elapsed),
        "eta_s": eta(reached, elapsed).map(|eta| eta.as_secs()),
        "retries": reached.retries,
        "elapsed_ms": elapsed.as_millis() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Reached = Reached {
        files: 602,
        files_total: 1204,
        bytes: 1 << 30,
        bytes_total: 2 << 30,
        retries: 1,
    };

    #[test]
    fn a_bar_says_files_bytes_rate_eta_and_retries() {
        let text = sentence(&HALF, Duration::from_secs(10));
        let expected = "602/1,204 files  1.0 GiB/2.0 GiB  102.4 MiB/s  ETA 11 s  1 retry";
        assert_eq!(text, expected);
    }

    #[test]
    fn unknown_totals_are_left_out() {
        let reached = Reached {
            files: 1,
            bytes: 100,
            ..Reached::default()
        };
        assert_eq!(
            sentence(&reached, Duration::ZERO),
            "1 files  100 B  97.7 KiB/s"
        );
        assert!(json_line(&reached, Duration::ZERO, "0")["eta_s"].is_null());
    }

    #[test]
    fn json_has_raw_numbers() {
        let line = json_line(&HALF, Duration::from_secs(10), "0a");
        assert_eq!(line["bytes_per_s"], 107_374_182);
        assert_eq!(line["eta_s"], 11);
    }
}
