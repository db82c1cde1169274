//! The figures of a process as Prometheus text: those of its roles and its own, through OpenTelemetry.
//!
//! Roles count in plain atomics; here they are observed, once for each scrape (decisions/0001-metrics.md).
mod histograms;
mod own;
pub mod table;

use anyhow::Context;
use dfs_rpc::metrics::{Figure, Kind, Metric, Sample};
use histograms::Histograms;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
pub(crate) use own::{Own, own_samples};
use parking_lot::{Mutex, RwLock};
use prometheus::{Registry, TextEncoder};
use std::sync::Arc;

/// What is exported by the scrape that is under way.
type Latest = Arc<RwLock<Vec<Sample>>>;

/// Turns samples into text. One for each process.
pub(crate) struct Exporter {
    registry: Registry,
    latest: Latest,
    /// Two scrapes at once must not mix their samples.
    one: Mutex<()>,
    /// Ends its instruments when it is dropped.
    _provider: SdkMeterProvider,
}

impl Exporter {
    pub(crate) fn new() -> anyhow::Result<Exporter> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // The table's names are the exported ones, letter by letter.
            .without_units()
            .without_counter_suffixes()
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .context("cannot export metrics")?;
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter("dfs");
        let latest = Latest::default();
        for metric in table::all() {
            observe(&meter, metric, &latest);
        }
        let histograms = Histograms::new(latest.clone())?;
        registry
            .register(Box::new(histograms))
            .context("cannot export histograms")?;
        Ok(Exporter {
            registry,
            latest,
            one: Mutex::new(()),
            _provider: provider,
        })
    }

    /// The text of these samples.
    pub(crate) fn text(&self, samples: Vec<Sample>) -> anyhow::Result<String> {
        let _one = self.one.lock();
        *self.latest.write() = samples;
        let families = self.registry.gather();
        let text = TextEncoder::new().encode_to_string(&families);
        text.context("cannot write metrics as text")
    }
}

/// An instrument that reads the samples of its name when it is asked.
fn observe(meter: &Meter, metric: &'static Metric, latest: &Latest) {
    let latest = latest.clone();
    match metric.kind {
        Kind::Counter => {
            let counter = meter.u64_observable_counter(metric.name);
            let counter = counter.with_description(metric.help);
            let observed = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
                for sample in latest.read().iter().filter(|s| s.name == metric.name) {
                    if let Figure::Count(count) = sample.figure {
                        observer.observe(count, &labels(sample));
                    }
                }
            };
            let _observed = counter.with_callback(observed).build();
        }
        Kind::Gauge => {
            let gauge = meter.f64_observable_gauge(metric.name);
            let gauge = gauge.with_description(metric.help);
            let observed = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                for sample in latest.read().iter().filter(|s| s.name == metric.name) {
                    if let Figure::Level(level) = sample.figure {
                        observer.observe(level, &labels(sample));
                    }
                }
            };
            let _observed = gauge.with_callback(observed).build();
        }
        Kind::Histogram => {} // `histograms`
    }
}

fn labels(sample: &Sample) -> Vec<KeyValue> {
    let label = |(name, value): &(&'static str, String)| KeyValue::new(*name, value.clone());
    sample.labels.iter().map(label).collect()
}
