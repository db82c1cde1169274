//! Dashboards as Grafana reads them: panels with their queries.
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// What Grafana puts in place of it: a few scrapes.
pub const INTERVAL: &str = "$__rate_interval";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    pub dashboard: String,
    pub title: String,
    pub queries: Vec<String>,
}

/// Every panel of every dashboard in the directory, by the names of the files.
///
/// # Errors
/// When one is no dashboard.
pub fn read(dir: &Path) -> Result<Vec<Panel>> {
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(dir)?.collect();
    let mut paths: Vec<_> = entries?.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let mut panels = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let read = parse(&text).with_context(|| path.display().to_string())?;
        panels.extend(read);
    }
    Ok(panels)
}

/// # Errors
/// When something is missing without which Grafana shows nothing.
pub fn parse(text: &str) -> Result<Vec<Panel>> {
    let document: Value = serde_json::from_str(text).context("no JSON")?;
    for key in ["uid", "title", "schemaVersion", "templating", "time"] {
        document.get(key).with_context(|| format!("no {key}"))?;
    }
    let dashboard = document["title"].as_str().context("a title is text")?;
    let panels = document["panels"].as_array().context("no panels")?;
    panels.iter().map(|json| panel(dashboard, json)).collect()
}

fn panel(dashboard: &str, json: &Value) -> Result<Panel> {
    let title = json["title"].as_str().context("a panel without a title")?;
    for key in ["id", "type", "gridPos", "datasource", "fieldConfig"] {
        let missing = || format!("{title}: no {key}");
        json.get(key).with_context(missing)?;
    }
    let targets = json["targets"].as_array().context("no targets")?;
    let query = |target: &Value| target["expr"].as_str().map(str::to_string);
    let queries: Option<Vec<String>> = targets.iter().map(query).collect();
    Ok(Panel {
        dashboard: dashboard.into(),
        title: title.into(),
        queries: queries.with_context(|| format!("{title}: a target without a query"))?,
    })
}
