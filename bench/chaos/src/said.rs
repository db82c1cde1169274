//! What the processes have said: an error or a panic is a fault of the system, a warning is counted.
use crate::cluster::Cluster;
use serde_json::Value;
use std::collections::BTreeMap;

/// Longer lines are cut: there may be many.
const SHOWN_CHARS: usize = 300;

#[derive(Default)]
pub(crate) struct Said {
    /// Panics, and lines of level ERROR.
    pub(crate) errors: Vec<String>,
    /// How often each warning, over all processes.
    pub(crate) warnings: BTreeMap<String, u64>,
    expected: Option<&'static str>,
}

/// `expected` is an error that the run itself has brought about: it is counted, as a warning is.
pub(crate) fn said(cluster: &Cluster, expected: Option<&'static str>) -> Said {
    let mut said = Said {
        expected,
        ..Said::default()
    };
    for process in &cluster.processes {
        for line in process.said().lines() {
            said.take(&process.name, line);
        }
    }
    said
}

impl Said {
    fn take(&mut self, name: &str, line: &str) {
        let parsed: Option<Value> = serde_json::from_str(line).ok();
        let text = |pointer: &str| {
            let value = parsed.as_ref().and_then(|line| line.pointer(pointer));
            value.and_then(Value::as_str).unwrap_or_default()
        };
        let is_panic = line.contains("panicked at");
        let is_failure = parsed.is_none() && line.starts_with("error:");
        let message = text("/fields/message");
        if self.expected.is_some_and(|expected| expected == message) {
            *self.warnings.entry(message.to_string()).or_default() += 1;
        } else if text("/level") == "ERROR" || is_panic || is_failure {
            let shown: String = line.chars().take(SHOWN_CHARS).collect();
            self.errors.push(format!("{name}: {shown}"));
        } else if text("/level") == "WARN" {
            *self.warnings.entry(message.to_string()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn errors_and_panics_are_found_and_warnings_counted() {
        let mut said = Said::default();
        said.take("unit-1", r#"{"level":"ERROR","fields":{"message":"bad"}}"#);
        said.take("unit-1", "thread 'x' panicked at src/a.rs:1:1:");
        said.take("unit-1", r#"{"level":"WARN","fields":{"message":"slow"}}"#);
        said.take("unit-2", r#"{"level":"WARN","fields":{"message":"slow"}}"#);
        said.take("unit-2", "serving unit on 127.0.0.1:1");
        assert_eq!(said.errors.len(), 2);
        said.expected = Some("bad");
        said.take("unit-1", r#"{"level":"ERROR","fields":{"message":"bad"}}"#);
        assert_eq!(
            (said.errors.len(), said.warnings.remove("bad")),
            (2, Some(1))
        );
        assert_eq!(
            said.warnings.into_iter().collect::<Vec<_>>(),
            [("slow".into(), 2)]
        );
    }
}
