//! Alert rules as Prometheus reads them.
use anyhow::{Context, Result, bail};
use std::path::Path;
use yaml_rust2::{Yaml, YamlLoader};

/// One rule of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What fires, or what is recorded.
    pub name: String,
    pub is_alert: bool,
    pub expr: String,
    /// `critical`, `warning`, `info`; empty of a recorded one.
    pub severity: String,
    /// Below the source tree.
    pub runbook: String,
    pub summary: String,
}

/// # Errors
/// When it is no file of rules.
pub fn read(path: &Path) -> Result<Vec<Rule>> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
}

pub fn parse(text: &str) -> Result<Vec<Rule>> {
    let documents = YamlLoader::load_from_str(text).context("no YAML")?;
    let document = documents.first().context("it is empty")?;
    let groups = document["groups"].as_vec().context("no groups")?;
    let mut all = Vec::new();
    for group in groups {
        let rules = group["rules"].as_vec().context("a group without rules")?;
        for yaml in rules {
            all.push(rule(yaml)?);
        }
    }
    Ok(all)
}

fn rule(yaml: &Yaml) -> Result<Rule> {
    let text = |yaml: &Yaml| yaml.as_str().unwrap_or_default().to_string();
    let (alert, record) = (text(&yaml["alert"]), text(&yaml["record"]));
    if alert.is_empty() == record.is_empty() {
        bail!("a rule is an alert or a record: {yaml:?}");
    }
    Ok(Rule {
        is_alert: record.is_empty(),
        name: alert + &record,
        expr: text(&yaml["expr"]),
        severity: text(&yaml["labels"]["severity"]),
        runbook: text(&yaml["annotations"]["runbook"]),
        summary: text(&yaml["annotations"]["summary"]),
    })
}
