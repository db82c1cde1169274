//! Figures as they were told, found by name and labels.
use dfs_wire::v1;
use dfs_wire::v1::figure::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The figures of one answer, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    figures: BTreeMap<String, Vec<v1::Figure>>,
}

/// Several histograms with the same bounds, added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// (upper bound, how many up to it).
    pub(super) buckets: Vec<(f64, f64)>,
    pub(super) count: f64,
    pub(super) sum: f64,
}

impl Book {
    pub(crate) fn of(answer: &v1::FiguresAnswer) -> Book {
        let mut figures: BTreeMap<String, Vec<v1::Figure>> = BTreeMap::new();
        for figure in &answer.figures {
            let same = figures.entry(figure.name.clone()).or_default();
            same.push(figure.clone());
        }
        Book { figures }
    }

    fn all<'a>(
        &'a self,
        name: &str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a v1::Figure> {
        let same = self.figures.get(name).into_iter().flatten();
        same.filter(move |figure| labels.iter().all(|(name, value)| has(figure, name, value)))
    }

    /// What this label says in figures of this name.
    pub(crate) fn values_of(&self, name: &str, label: &str) -> BTreeSet<String> {
        let labels = self.all(name, &[]).flat_map(|figure| &figure.labels);
        let values = labels.filter(|it| it.name == label);
        values.map(|it| it.value.clone()).collect()
    }

    /// Counters and levels with these labels, added up.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).filter_map(number).sum()
    }

    /// The first with these labels.
    pub(crate) fn one(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.all(name, labels).find_map(number)
    }

    /// Of `name{role=…}` the role that is 1.
    pub(crate) fn state(&self, name: &str, own: (&str, &str)) -> String {
        let own = [own];
        let is = self.all(name, &own).find(|it| number(it) == Some(1.0));
        let labels = is.into_iter().flat_map(|figure| &figure.labels);
        let role = labels.filter(|it| it.name == "role");
        role.map(|it| it.value.clone()).collect()
    }

    pub(crate) fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        let spreads = self
            .all(name, labels)
            .filter_map(|figure| match &figure.value {
                Some(Value::Spread(spread)) => Some(spread),
                _ => None,
            });
        spreads.fold(Histogram::default(), |all, one| all.and(one))
    }
}

impl Histogram {
    fn and(mut self, one: &v1::FigureSpread) -> Histogram {
        let buckets = one.bounds.iter().zip(&one.counts);
        if self.buckets.is_empty() {
            self.buckets = one.bounds.iter().map(|bound| (*bound, 0.0)).collect();
        }
        for (sum, (_, count)) in self.buckets.iter_mut().zip(buckets) {
            sum.1 += *count as f64;
        }
        self.count += one.count as f64;
        self.sum += one.sum;
        self
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    /// What was added since; all of it where the role was opened anew.
    pub(crate) fn less(self, before: &Histogram) -> Histogram {
        if before.count > self.count || before.buckets.len() != self.buckets.len() {
            return self;
        }
        let pairs = self.buckets.iter().zip(&before.buckets);
        Histogram {
            buckets: pairs.map(|(now, was)| (now.0, now.1 - was.1)).collect(),
            count: self.count - before.count,
            sum: self.sum - before.sum,
        }
    }
}

fn has(figure: &v1::Figure, name: &str, value: &str) -> bool {
    let mut labels = figure.labels.iter();
    labels.any(|label| label.name == name && label.value == value)
}

fn number(figure: &v1::Figure) -> Option<f64> {
    match figure.value.as_ref()? {
        Value::Count(count) => Some(*count as f64),
        Value::Level(level) => Some(*level),
        Value::Spread(_) => None,
    }
}
