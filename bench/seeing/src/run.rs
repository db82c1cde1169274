//! One run: a healthy cluster shows everything and fires nothing; each fault fires its alerts, and they clear.
use crate::cluster::{Cluster, free_addresses};
use crate::harm::Harm;
use crate::load::Load;
use crate::prometheus::Prometheus;
use crate::stand_in::StandIn;
use crate::watch::Watch;
use anyhow::{Context, Result, bail};
use dfs_env::Env;
use dfs_seeing::faults::{Fault, STAYS, Scenario};
use dfs_seeing::hurry::FACTOR;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// All rates have their windows full by then.
const WARM_UP: Duration = Duration::from_secs(45);
const HEALTHY_FOR: Duration = Duration::from_secs(60);
const HEALTHY_FOR_QUICK: Duration = Duration::from_secs(10);
const FIRES_WITHIN: Duration = Duration::from_secs(90);
/// The windows of rates have to pass.
const CLEARS_WITHIN: Duration = Duration::from_secs(120);
/// In full it goes on at least as long as the issue asks for.
const WHOLE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Panels are 80 queries and more: beside a scrape each second that is enough.
const PANELS_EVERY: u32 = 5;

pub(crate) struct Options {
    pub(crate) dfsctl: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) quick: bool,
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) disks: bool,
}

/// What came of it.
pub(crate) struct Report {
    options: Value,
    healthy: Value,
    empty_when_healthy: Vec<String>,
    fired_when_healthy: BTreeSet<String>,
    panels: Value,
    faults: Vec<Value>,
    failures: Vec<String>,
    operations: (u64, u64),
    seconds: f64,
}

impl Report {
    pub(crate) fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "api_version": "dfs/v1", "program": "dfs-seeing", "passed": self.passed(),
            "run": self.options, "seconds": self.seconds,
            "operations": { "done": self.operations.0, "refused": self.operations.1 },
            "healthy": self.healthy,
            "empty_when_healthy": self.empty_when_healthy,
            "fired_when_healthy": self.fired_when_healthy,
            "whole_run": self.panels, "faults": self.faults, "failures": self.failures,
        })
    }
}

pub(crate) async fn run(env: &Env, options: &Options) -> Result<Report> {
    let cluster = Cluster::prepare(env, &options.dfsctl, &options.dir, options.disks)?;
    let ran = Box::pin(stage(env, options, &cluster)).await;
    cluster.down().await;
    ran
}

async fn stage(env: &Env, options: &Options, cluster: &Cluster) -> Result<Report> {
    let begun = env.now();
    let stand_in = StandIn::start(env).await?;
    cluster.start_all()?;
    let mut targets: Vec<String> = cluster
        .processes
        .iter()
        .map(|it| it.metrics.clone())
        .collect();
    targets.push(stand_in.address.clone());
    let address = free_addresses(1)?.remove(0);
    let prometheus = Prometheus::start(&options.dir, address, &targets)?;
    let sequencers = cluster.sequencers();
    let load = env.timeout(STARTS_WITHIN, Load::start(env, &sequencers));
    let load = load.await.context("the cluster does not start in time")??;
    until_up(env, &prometheus, targets.len()).await?;
    env.sleep(WARM_UP).await;
    let mut scene = Scene {
        env,
        prometheus: &prometheus,
        watch: Watch::new()?,
        ticks: 0,
        failures: Vec::new(),
    };
    let (empty_when_healthy, fired_when_healthy) = scene.healthy(options.quick).await?;
    let healthy = scene.watch.to_json();
    let mut harm = Harm::new(env, cluster, &stand_in);
    let mut faults = Vec::new();
    for scenario in &options.scenarios {
        eprintln!("{}", scenario.name);
        let told = scene.fault(&mut harm, scenario).await?;
        eprintln!("{told}");
        faults.push(told);
    }
    while !options.quick && env.now().saturating_duration_since(begun) < WHOLE {
        scene.tick().await?;
    }
    let (_, _, never) = scene.watch.counts();
    if never > 0 {
        scene
            .failures
            .push(format!("{never} panels never showed anything"));
    }
    Ok(Report {
        options: described(env, options),
        healthy,
        empty_when_healthy,
        fired_when_healthy,
        panels: scene.watch.to_json(),
        faults,
        failures: scene.failures,
        operations: load.counts(),
        seconds: env.now().saturating_duration_since(begun).as_secs_f64(),
    })
}

fn described(env: &Env, options: &Options) -> Value {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let told = read("/proc/cpuinfo");
    let models = told
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<&str> = models
        .map(|model| model.trim_start_matches([' ', '\t', ':']))
        .collect();
    let date = UNIX_EPOCH + Duration::from_micros(env.wall_us());
    let build = options.dfsctl.parent().and_then(|dir| dir.file_name());
    json!({
        "command": format!("dfs-seeing {}", words.join(" ")).trim_end(),
        "date": humantime::format_rfc3339_seconds(date).to_string(),
        "machine": {
            "cpu": models.first(), "cores": models.len(),
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
        },
        "build": build.map(|build| build.to_string_lossy()),
        "system": "3 sequencers, 3 units, 2 materializers, a process each, on 127.0.0.1; data in memory (tmpfs) where mounts are allowed",
        "scrape_seconds": 1, "durations_divided_by": FACTOR,
    })
}

async fn until_up(env: &Env, prometheus: &Prometheus, targets: usize) -> Result<()> {
    let deadline = env.now() + STARTS_WITHIN;
    while env.now() < deadline {
        if prometheus.is_ready().await {
            let up = prometheus.query("sum(up)").await?;
            if up.first() == Some(&(targets as f64)) {
                return Ok(());
            }
        }
        env.sleep(LOOK_EVERY).await;
    }
    bail!("not all targets are scraped in time")
}

/// What is looked at while things happen.
struct Scene<'a> {
    env: &'a Env,
    prometheus: &'a Prometheus,
    watch: Watch,
    ticks: u32,
    failures: Vec<String>,
}

impl Scene<'_> {
    /// A second passes; panels are looked at every few of them.
    async fn tick(&mut self) -> Result<()> {
        self.env.sleep(LOOK_EVERY).await;
        self.ticks += 1;
        if self.ticks.is_multiple_of(PANELS_EVERY) {
            self.watch.look(self.prometheus).await?;
        }
        Ok(())
    }

    /// Everything shows something, nothing fires.
    async fn healthy(&mut self, quick: bool) -> Result<(Vec<String>, BTreeSet<String>)> {
        self.watch.begin();
        let length = if quick {
            HEALTHY_FOR_QUICK
        } else {
            HEALTHY_FOR
        };
        let until = self.env.now() + length;
        let (mut empty, mut fired) = (BTreeSet::new(), BTreeSet::new());
        while self.env.now() < until {
            empty.extend(self.watch.look(self.prometheus).await?);
            fired.extend(self.prometheus.alerts("firing").await?);
            self.env.sleep(LOOK_EVERY).await;
        }
        for panel in &empty {
            self.failures
                .push(format!("empty while all was well: {panel}"));
        }
        for alert in &fired {
            self.failures
                .push(format!("fired while all was well: {alert}"));
        }
        Ok((empty.into_iter().collect(), fired))
    }

    async fn fault(&mut self, harm: &mut Harm<'_>, scenario: &Scenario) -> Result<Value> {
        self.calm().await?;
        let begun = self.env.now();
        // Some faults go on for a while: alerts are looked at all the while.
        let mut fired = BTreeMap::new();
        let done = {
            let inflicting = harm.inflict(scenario.fault);
            self.during(inflicting, begun, &mut fired).await?
        };
        if !done {
            println!("skipped: {}: no disks of their own here", scenario.name);
            return Ok(json!({ "fault": scenario.name, "skipped": true }));
        }
        let all = |fired: &BTreeMap<String, f64>| {
            scenario
                .fires
                .iter()
                .all(|alert| fired.contains_key(*alert))
        };
        while !all(&fired) && self.since(begun) < FIRES_WITHIN.as_secs_f64() {
            self.note(begun, &mut fired).await?;
            self.tick().await?;
        }
        harm.heal()?;
        let healed = self.env.now();
        let mut cleared = BTreeMap::new();
        let stays = |alert: &String| {
            scenario.fault != Fault::ToldByStandIn && STAYS.contains(&alert.as_str())
        };
        let clears = fired.keys().filter(|alert| !stays(alert));
        let clears: BTreeSet<String> = clears.cloned().collect();
        while cleared.len() < clears.len() && self.since(healed) < CLEARS_WITHIN.as_secs_f64() {
            let firing = self.prometheus.alerts("firing").await?;
            for alert in clears.difference(&firing) {
                let at = self.since(healed);
                cleared.entry(alert.clone()).or_insert(at);
            }
            self.tick().await?;
        }
        for alert in clears.iter().filter(|it| !cleared.contains_key(*it)) {
            let name = scenario.name;
            self.failures.push(format!("{name}: {alert} did not clear"));
        }
        Ok(self.told(scenario, &fired, &cleared))
    }

    fn told(
        &mut self,
        scenario: &Scenario,
        fired: &BTreeMap<String, f64>,
        cleared: &BTreeMap<String, f64>,
    ) -> Value {
        let name = scenario.name;
        for alert in scenario.fires.iter().filter(|it| !fired.contains_key(**it)) {
            self.failures.push(format!("{name}: {alert} did not fire"));
        }
        let seconds = |times: &BTreeMap<String, f64>, alert: &str| {
            times
                .get(alert)
                .map(|seconds| (seconds * 10.0).round() / 10.0)
        };
        let expected = scenario.fires.iter().map(|alert| {
            let (after, clear) = (seconds(fired, alert), seconds(cleared, alert));
            json!({ "alert": alert, "fired_after_s": after, "cleared_after_s": clear })
        });
        let also = fired
            .keys()
            .filter(|it| !scenario.fires.contains(&it.as_str()));
        json!({
            "fault": name, "alerts": expected.collect::<Vec<_>>(), "also_fired": also.collect::<Vec<_>>(),
        })
    }

    async fn during<T>(
        &mut self,
        going_on: impl Future<Output = Result<T>>,
        begun: Instant,
        fired: &mut BTreeMap<String, f64>,
    ) -> Result<T> {
        let mut going_on = std::pin::pin!(going_on);
        loop {
            let passed = self.env.timeout(LOOK_EVERY, &mut going_on).await;
            self.note(begun, fired).await?;
            if let Ok(done) = passed {
                return done;
            }
        }
    }

    async fn note(&self, begun: Instant, fired: &mut BTreeMap<String, f64>) -> Result<()> {
        for alert in self.prometheus.alerts("firing").await? {
            let at = self.since(begun);
            fired.entry(alert).or_insert(at);
        }
        Ok(())
    }

    fn since(&self, begun: Instant) -> f64 {
        self.env
            .now()
            .saturating_duration_since(begun)
            .as_secs_f64()
    }

    /// What an earlier fault has fired is over, as far as it ends at all.
    async fn calm(&mut self) -> Result<()> {
        let begun = self.env.now();
        while self.since(begun) < CLEARS_WITHIN.as_secs_f64() {
            let (firing, pending) = (
                self.prometheus.alerts("firing").await?,
                self.prometheus.alerts("pending").await?,
            );
            let stays = |alert: &String| STAYS.contains(&alert.as_str());
            if firing.union(&pending).all(stays) {
                return Ok(());
            }
            self.tick().await?;
        }
        Ok(())
    }
}
