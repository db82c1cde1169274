//! Every panel of every dashboard, looked at again and again.
use crate::prometheus::Prometheus;
use anyhow::Result;
use dfs_seeing::dashboards::{INTERVAL, Panel, read};
use dfs_seeing::deploy;
use serde_json::{Value, json};

/// In place of Grafana's interval: some scrapes of a second each.
const INTERVAL_HERE: &str = "10s";

pub(crate) struct Watch {
    panels: Vec<Looked>,
}

struct Looked {
    panel: Panel,
    looks: u64,
    /// Looks at which a query of it had no number.
    empty: u64,
    first_empty: String,
}

impl Watch {
    pub(crate) fn new() -> Result<Watch> {
        let panels = read(&deploy().join("dashboards"))?.into_iter();
        let panels = panels.map(|panel| Looked {
            panel,
            looks: 0,
            empty: 0,
            first_empty: String::new(),
        });
        Ok(Watch {
            panels: panels.collect(),
        })
    }

    /// Titles of panels that show nothing now.
    pub(crate) async fn look(&mut self, prometheus: &Prometheus) -> Result<Vec<String>> {
        let mut empty = Vec::new();
        for looked in &mut self.panels {
            looked.looks += 1;
            for query in &looked.panel.queries {
                let asked = query.replace(INTERVAL, INTERVAL_HERE);
                if prometheus.query(&asked).await?.is_empty() {
                    let Panel {
                        dashboard, title, ..
                    } = &looked.panel;
                    empty.push(format!("{dashboard}: {title}: {query}"));
                    looked.empty += 1;
                    looked.first_empty.clone_from(query);
                    break;
                }
            }
        }
        Ok(empty)
    }

    /// Nothing that was seen so far counts.
    pub(crate) fn begin(&mut self) {
        for looked in &mut self.panels {
            (looked.looks, looked.empty) = (0, 0);
        }
    }

    /// (panels, looks at each, panels that never showed anything).
    pub(crate) fn counts(&self) -> (usize, u64, usize) {
        let looks = self.panels.first().map_or(0, |looked| looked.looks);
        let never = self.panels.iter().filter(|it| it.empty == it.looks);
        (self.panels.len(), looks, never.count())
    }

    /// Those that were empty at times.
    pub(crate) fn to_json(&self) -> Value {
        let (panels, looks, never) = self.counts();
        let at_times = self.panels.iter().filter(|it| it.empty > 0).map(|it| {
            json!({
                "dashboard": it.panel.dashboard, "panel": it.panel.title,
                "empty_looks": it.empty, "query": it.first_empty,
            })
        });
        json!({
            "panels": panels, "looks_at_each": looks, "never_shown": never,
            "empty_at_times": at_times.collect::<Vec<_>>(),
        })
    }
}
