//! Histograms that were counted elsewhere: OpenTelemetry observes counters and gauges, but has no histogram to
//! observe, so these go to the registry beside it.
use super::{Latest, table};
use anyhow::Context;
use dfs_rpc::metrics::{Figure, Kind, Sample, SpreadRead};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, MetricFamily, MetricType};
use std::collections::HashMap;

pub(super) struct Histograms {
    latest: Latest,
    described: Vec<Desc>,
}

impl Histograms {
    pub(super) fn new(latest: Latest) -> anyhow::Result<Histograms> {
        let histograms = table::all().filter(|metric| metric.kind == Kind::Histogram);
        let described = histograms.map(|metric| {
            let labels = metric.labels.iter().map(ToString::to_string).collect();
            Desc::new(
                metric.name.into(),
                metric.help.into(),
                labels,
                HashMap::new(),
            )
        });
        let described: Result<_, _> = described.collect();
        Ok(Histograms {
            latest,
            described: described.context("cannot describe histograms")?,
        })
    }
}

impl Collector for Histograms {
    fn desc(&self) -> Vec<&Desc> {
        self.described.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let latest = self.latest.read();
        let histograms = table::all().filter(|metric| metric.kind == Kind::Histogram);
        let family = |metric: &'static dfs_rpc::metrics::Metric| {
            let samples = latest.iter().filter(|sample| sample.name == metric.name);
            let metrics: Vec<_> = samples.filter_map(as_metric).collect();
            let mut family = MetricFamily::default();
            family.set_name(metric.name.into());
            family.set_help(metric.help.into());
            family.set_field_type(MetricType::HISTOGRAM);
            family.set_metric(metrics);
            family
        };
        let families = histograms.map(family);
        families.filter(|f| !f.get_metric().is_empty()).collect()
    }
}

fn as_metric(sample: &Sample) -> Option<prometheus::proto::Metric> {
    let Figure::Spread(spread) = &sample.figure else {
        return None;
    };
    let pair = |(name, value): &(&'static str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).into());
        pair.set_value(value.clone());
        pair
    };
    let mut metric = prometheus::proto::Metric::default();
    metric.set_label(sample.labels.iter().map(pair).collect::<Vec<_>>());
    metric.set_histogram(as_histogram(spread));
    Some(metric)
}

fn as_histogram(spread: &SpreadRead) -> Histogram {
    let bucket = |(bound, count): &(f64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(spread.buckets.iter().map(bucket).collect::<Vec<_>>());
    histogram.set_sample_count(spread.count);
    histogram.set_sample_sum(spread.sum);
    histogram
}
