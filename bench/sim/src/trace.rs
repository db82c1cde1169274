//! Everything that travelled, with its simulated time, as one number.
use parking_lot::Mutex;
use std::collections::VecDeque;
use xxhash_rust::xxh3::Xxh3;

/// Lines kept for a failure: what led to it.
const LINES_KEPT: usize = 60;

/// The running hash of a run.
pub(crate) struct Trace {
    prints: bool,
    state: Mutex<State>,
}

struct State {
    hash: Xxh3,
    events: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// `prints`: every line goes to standard error, for comparing two runs.
    pub(crate) fn new(prints: bool) -> Trace {
        let state = State {
            hash: Xxh3::new(),
            events: 0,
            last: VecDeque::new(),
        };
        Trace {
            prints,
            state: Mutex::new(state),
        }
    }

    /// Something happened at `us` after the start: `what`, between whom, and the bytes of it.
    pub(crate) fn note(&self, us: u64, what: &str, who: &str, bytes: &[u8]) {
        let state = &mut *self.state.lock();
        state.events += 1;
        state.hash.update(&us.to_le_bytes());
        for part in [what.as_bytes(), who.as_bytes(), bytes] {
            state.hash.update(&(part.len() as u64).to_le_bytes());
            state.hash.update(part);
        }
        let line = format!(
            "{us:>10} {who} {what} {} bytes {:016x}",
            bytes.len(),
            state.hash.digest()
        );
        if self.prints {
            eprintln!("{line}");
        }
        if state.last.len() == LINES_KEPT {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    /// (hash, events) so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.hash.digest(), state.events)
    }

    /// The latest lines, oldest first.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.state.lock().last.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;

    fn hash(us: u64, what: &str, who: &str, bytes: &[u8]) -> u64 {
        let trace = Trace::new(false);
        trace.note(us, what, who, bytes);
        trace.so_far().0
    }

    #[test]
    fn every_part_counts() {
        let one = hash(1, "a", "b", b"c");
        assert_eq!(one, hash(1, "a", "b", b"c"));
        for other in [
            hash(2, "a", "b", b"c"),
            hash(1, "ab", "", b"c"),
            hash(1, "a", "b", b"d"),
        ] {
            assert_ne!(one, other);
        }
    }
}
