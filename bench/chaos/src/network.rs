//! A network of its own for every process: namespaces joined by a switch in this process.
//!
//! `tun.rs`: one end of a namespace; `switch.rs`: what connects them, with cuts and delays on each way.
mod switch;
mod tun;

pub(crate) use switch::{Fate, Switch};

use anyhow::{Context, Result, bail};
use dfs_env::Env;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::process::Command;
use tun::Tun;

/// Large packets: every one of them costs this process a read and a write.
const MTU_BYTES: u32 = 9000;
const PREFIX: &str = "dfs-chaos-";

/// Namespaces by number of a process; number 0 is where the clients are.
pub(crate) struct Network {
    namespaces: Vec<String>,
    addresses: Vec<Ipv4Addr>,
    switch: Arc<Switch>,
}

impl Network {
    /// One namespace for each name. What a killed run has left is swept first.
    ///
    /// # Errors
    /// Where namespaces or TUN devices are not allowed; the text says which step failed.
    pub(crate) async fn up(env: &Env, names: &[String]) -> Result<Network> {
        sweep().await;
        let own = std::process::id();
        let subnet = (own % 256) as u8;
        let mut network = Network {
            namespaces: Vec::new(),
            addresses: Vec::new(),
            switch: Arc::new(Switch::new(env.clone())),
        };
        let brought = network.bring(own, subnet, names).await;
        if brought.is_err() {
            network.down().await;
        }
        brought.map(|()| network)
    }

    async fn bring(&mut self, own: u32, subnet: u8, names: &[String]) -> Result<()> {
        let mut ends = Vec::new();
        for number in 0..=names.len() {
            // The benchmarking range of RFC 2544: nobody's address.
            let address = Ipv4Addr::new(198, 18, subnet, number as u8 + 1);
            let device = format!("dc{own}-{number}");
            let tun = Tun::open(&device).context("cannot make a TUN device")?;
            let mut at = Vec::new();
            if let Some(name) = number.checked_sub(1).and_then(|at| names.get(at)) {
                let namespace = format!("{PREFIX}{own}-{name}");
                ip(&["netns", "add", &namespace]).await?;
                self.namespaces.push(namespace.clone());
                ip(&["link", "set", "dev", &device, "netns", &namespace]).await?;
                at.extend(["-n".to_string(), namespace]);
                ip_at(&at, &["link", "set", "dev", "lo", "up"]).await?;
            }
            let range = format!("{address}/24");
            ip_at(&at, &["addr", "add", &range, "dev", &device]).await?;
            let mtu = MTU_BYTES.to_string();
            ip_at(&at, &["link", "set", "dev", &device, "mtu", &mtu, "up"]).await?;
            self.addresses.push(address);
            ends.push((address, tun));
        }
        self.switch.start(ends);
        Ok(())
    }

    /// Where process `number` lives, from 1.
    pub(crate) fn namespace(&self, number: usize) -> &str {
        &self.namespaces[number - 1]
    }

    pub(crate) fn address(&self, number: usize) -> Ipv4Addr {
        self.addresses[number]
    }

    pub(crate) fn switch(&self) -> &Switch {
        &self.switch
    }

    /// The namespaces are removed; the devices vanish with this process.
    pub(crate) async fn down(&self) {
        for namespace in &self.namespaces {
            if let Err(error) = ip(&["netns", "del", namespace]).await {
                eprintln!("a namespace stays: {error:#}");
            }
        }
    }
}

/// What runs whose process is gone have left: processes in their namespaces, and those.
async fn sweep() {
    let listed = ip(&["netns", "list"]).await.unwrap_or_default();
    for line in listed.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let rest = name.strip_prefix(PREFIX);
        let owner = rest.and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.filter(|pid| pid.parse::<u32>().is_ok()) else {
            continue;
        };
        if std::path::Path::new("/proc").join(owner).exists() {
            continue;
        }
        for pid in ip(&["netns", "pids", name])
            .await
            .unwrap_or_default()
            .lines()
        {
            crate::cluster::kill_by_id(pid);
        }
        let _ = ip(&["netns", "del", name]).await; // the next run tries again
    }
}

async fn ip_at(at: &[String], words: &[&str]) -> Result<String> {
    let at = at.iter().map(String::as_str);
    ip(&at.chain(words.iter().copied()).collect::<Vec<_>>()).await
}

async fn ip(words: &[&str]) -> Result<String> {
    let ran = Command::new("ip").args(words).output().await;
    let ran = ran.context("cannot run ip (iproute2)")?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        bail!("ip {}: {}", words.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
