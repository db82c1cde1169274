//! A real Prometheus over the cluster, with the rules of deploy/alerts in a hurry.
use crate::http;
use anyhow::{Context, Result};
use dfs_seeing::{deploy, hurry};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

pub(crate) struct Prometheus {
    pub(crate) address: String,
    _child: Child,
}

impl Prometheus {
    /// Scrapes each second.
    pub(crate) fn start(dir: &Path, address: String, targets: &[String]) -> Result<Prometheus> {
        let rules = std::fs::read_to_string(deploy().join("alerts/dfs.rules.yml"))?;
        std::fs::write(dir.join("dfs.rules.yml"), hurry::hurried(&rules))?;
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [dfs.rules.yml]\n\
             scrape_configs:\n  - job_name: dfs\n    static_configs:\n      - targets: {targets:?}\n"
        );
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config)?;
        let log = std::fs::File::create(dir.join("prometheus.log"))?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.process_group(0).kill_on_drop(true).spawn();
        Ok(Prometheus {
            address,
            _child: child.context("cannot start prometheus")?,
        })
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let ready = http::get(&self.address, "/-/ready").await;
        ready.is_ok_and(|(status, _)| status == 200)
    }

    /// The values of all series that a query gives; those that are no numbers left out.
    pub(crate) async fn query(&self, query: &str) -> Result<Vec<f64>> {
        let path = format!("/api/v1/query?query={}", http::escaped(query));
        let data = http::data(&self.address, &path).await?;
        let value = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok();
        let result = data["result"].as_array().context("no result")?;
        let values = match data["resultType"].as_str() {
            Some("scalar") => vec![data["result"][1].as_str().and_then(|v| v.parse().ok())],
            _ => result.iter().map(value).collect(),
        };
        Ok(values
            .into_iter()
            .flatten()
            .filter(|v| !v.is_nan())
            .collect())
    }

    /// Names of alerts in this state: `firing`, `pending`.
    pub(crate) async fn alerts(&self, state: &str) -> Result<BTreeSet<String>> {
        let data = http::data(&self.address, "/api/v1/alerts").await?;
        let alerts = data["alerts"].as_array().context("no alerts")?;
        let these = alerts.iter().filter(|alert| alert["state"] == state);
        let names = these.filter_map(|alert| alert["labels"]["alertname"].as_str());
        Ok(names.map(str::to_string).collect())
    }
}
