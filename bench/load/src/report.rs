//! Results as JSON and as a table, with machine, date and command.
use crate::drive::Measured;
use crate::raw::RawDisk;
use serde::Serialize;

/// One figure of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: String,
    /// "closed" or "open".
    pub r#loop: &'static str,
    pub in_flight: u64,
    pub operations: u64,
    pub errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    pub seconds: f64,
    pub per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    /// Of this process: client and, where they run inside it, all roles.
    pub cpu_us_per_operation: f64,
    /// Bytes of payload moved per second in MB (10⁶), where the figure is about bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb_per_second: Option<f64>,
}

/// Everything one run has found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub api_version: &'static str,
    pub command: String,
    /// RFC 3339.
    pub date: String,
    pub machine: Machine,
    pub system: String,
    pub raw_disk: RawDisk,
    pub figures: Vec<Figure>,
}

/// What it ran on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
}

impl Figure {
    /// `bytes_per_operation` where the figure is about bytes.
    pub fn of(
        name: &str,
        r#loop: &'static str,
        in_flight: u64,
        measured: &Measured,
        bytes_per_operation: Option<u64>,
    ) -> Figure {
        let per_second = measured.per_second();
        Figure {
            name: name.to_string(),
            r#loop,
            in_flight,
            operations: measured.operations,
            errors: measured.errors,
            first_error: measured.first_error.clone(),
            seconds: measured.seconds,
            per_second,
            p50_us: measured.latency_us(0.5),
            p99_us: measured.latency_us(0.99),
            max_us: measured.latencies.max(),
            cpu_us_per_operation: measured.cpu_us_per_operation(),
            mb_per_second: bytes_per_operation.map(|bytes| per_second * bytes as f64 / 1e6),
        }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let rate = match self.mb_per_second {
            Some(rate) => format!("{rate:9.0} MB/s"),
            None => format!("{:9.0} /s  ", self.per_second),
        };
        let errors = if self.errors > 0 {
            format!("  {} errors", self.errors)
        } else {
            String::new()
        };
        format!(
            "{:28} {:>6} {:>4} in flight {rate}  p50 {:>8} µs  p99 {:>8} µs  cpu {:>8.1} µs/op{errors}",
            self.name,
            self.r#loop,
            self.in_flight,
            self.p50_us,
            self.p99_us,
            self.cpu_us_per_operation
        )
    }
}

impl Machine {
    /// Read from /proc; what cannot be read stays empty.
    pub fn here() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(key))
                .unwrap_or_default();
            line.split_once(':')
                .map(|(_, value)| value.trim().to_string())
                .unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: u64 = memory.trim_end_matches(" kB").trim().parse().unwrap_or(0);
        Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kilobytes * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_string(),
        }
    }
}
