//! Every packet between two processes passes here, and is handed on, lost or delayed.
use super::tun::Tun;
use dfs_env::Env;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Packets that are under way for longer: 50 ms of a gigabit at 9,000 bytes; what comes on top is lost.
const LATE_MAX: usize = 1024;
/// The largest packet of IPv4.
const PACKET_BYTES_MAX: usize = 65_535;

/// What happens to the packets of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Late(Duration),
}

/// By number: 0 is the clients, others as the processes are counted.
pub(crate) struct Switch {
    env: Env,
    ends: OnceLock<Vec<(Ipv4Addr, Tun)>>,
    ways: Mutex<BTreeMap<(usize, usize), Fate>>,
    late: Mutex<Late>,
    changed: Notify,
}

/// In the order in which they are due.
#[derive(Default)]
struct Late {
    packets: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
}

impl Switch {
    pub(crate) fn new(env: Env) -> Switch {
        Switch {
            env: env.group("switch"),
            ends: OnceLock::new(),
            ways: Mutex::default(),
            late: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Packets flow from now on.
    pub(crate) fn start(self: &Arc<Self>, ends: Vec<(Ipv4Addr, Tun)>) {
        let count = ends.len();
        if self.ends.set(ends).is_err() {
            return; // it runs
        }
        for from in 0..count {
            let own = self.clone();
            self.env
                .spawn("switch-port", async move { own.listen(from).await });
        }
        let own = self.clone();
        self.env
            .spawn("switch-late", async move { own.deliver().await });
    }

    /// What happens to packets from one to the other, until it is changed.
    pub(crate) fn set(&self, from: usize, to: usize, fate: Option<Fate>) {
        let mut ways = self.ways.lock();
        match fate {
            Some(fate) => ways.insert((from, to), fate),
            None => ways.remove(&(from, to)),
        };
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.ways.lock().clear();
    }

    fn ends(&self) -> &[(Ipv4Addr, Tun)] {
        self.ends.get().map_or(&[], Vec::as_slice)
    }

    async fn listen(&self, from: usize) {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let (_, tun) = &self.ends()[from];
        while let Ok(length) = tun.read(&mut packet).await {
            self.pass(from, &packet[..length]);
        }
    }

    fn pass(&self, from: usize, packet: &[u8]) {
        let Some(to) = self.destination(packet) else {
            return; // not of this network: neighbours that look for a router
        };
        let fate = self.ways.lock().get(&(from, to)).copied();
        match fate {
            None => self.ends()[to].1.write(packet),
            Some(Fate::Lost) => {}
            Some(Fate::Late(delay)) => {
                let mut late = self.late.lock();
                if late.packets.len() < LATE_MAX {
                    late.count += 1;
                    let due = (self.env.now() + delay, late.count);
                    late.packets.insert(due, (to, packet.to_vec()));
                    self.changed.notify_one();
                }
            }
        }
    }

    /// IPv4: version in the first half byte, destination in bytes 16 to 19.
    fn destination(&self, packet: &[u8]) -> Option<usize> {
        let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let bytes: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
        let to = Ipv4Addr::from(bytes);
        let found = self.ends().iter().position(|(address, _)| *address == to);
        found.filter(|_| is_ipv4)
    }

    async fn deliver(&self) {
        loop {
            let now = self.env.now();
            let next = {
                let mut late = self.late.lock();
                match late.packets.first_entry() {
                    Some(first) if first.key().0 <= now => Ok(first.remove()),
                    Some(first) => Err(Some(first.key().0 - now)),
                    None => Err(None),
                }
            };
            match next {
                Ok((to, packet)) => self.ends()[to].1.write(&packet),
                Err(Some(wait)) => {
                    // Whichever comes first: it is due, or another that may be due before it.
                    let _ = self.env.timeout(wait, self.changed.notified()).await;
                }
                Err(None) => self.changed.notified().await,
            }
        }
    }
}
