//! Who leads is known to those who were told of other sequencers, or of one that is gone by now.
#![allow(clippy::unwrap_used, reason = "tests")]

use async_trait::async_trait;
use dfs_env::sim::SimWorld;
use dfs_rpc::leading::{Dial, Leading};
use dfs_rpc::roles::{Answers, Requests, Sequencer};
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// A group as all of its members describe it; the first one leads.
#[derive(Default)]
struct Group {
    voters: Vec<String>,
    voters_index: u64,
    /// All of them follow: an election goes on.
    elects: bool,
    /// They answer nothing any more, and close no connection.
    silent: bool,
}

#[derive(Clone, Default)]
struct Town {
    group: Arc<Mutex<Group>>,
}

struct Voter {
    town: Town,
    address: String,
}

impl Town {
    /// The group is these from now on; whoever is not among them is gone.
    fn becomes(&self, voters: &[&str]) {
        let mut group = self.group.lock();
        group.voters = voters.iter().map(|it| it.to_string()).collect();
        group.voters_index += 1;
    }
}

#[async_trait]
impl Dial for Town {
    async fn dial(&self, address: &str) -> Result<Arc<dyn Sequencer>, Refusal> {
        let voter = Voter {
            town: self.clone(),
            address: address.into(),
        };
        voter.here()?;
        Ok(Arc::new(voter))
    }

    fn hang_up(&self, _address: &str) {}
}

impl Voter {
    fn here(&self) -> Result<(), Refusal> {
        match self.town.group.lock().voters.contains(&self.address) {
            true => Ok(()),
            false => Err(unavailable("connection refused")),
        }
    }
}

fn unavailable(why: &str) -> Refusal {
    Refusal::new(Code::Unavailable, "sequencer", why)
}

#[async_trait]
impl Sequencer for Voter {
    async fn end(&self, _: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        self.here()?;
        if self.town.group.lock().silent {
            return std::future::pending().await;
        }
        let voters_index = self.town.group.lock().voters_index;
        Ok(v1::EndAnswer {
            voters_index,
            ..Default::default()
        })
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        self.here()?;
        let group = self.town.group.lock();
        let leads = group.voters.first() == Some(&self.address) && !group.elects;
        Ok(v1::SequencerStatusAnswer {
            role: if leads { "leader" } else { "follower" }.into(),
            leader_address: group.voters.first().cloned().unwrap_or_default(),
            voter_addresses: group.voters.clone(),
            voters_index: group.voters_index,
            ..Default::default()
        })
    }

    async fn register(&self, _: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        Err(unavailable("not asked here"))
    }

    async fn keep_alive(&self, _: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        Err(unavailable("not asked here"))
    }

    async fn open_lane(&self, _: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        Err(unavailable("not asked here"))
    }

    async fn move_lane(&self, _: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        Err(unavailable("not asked here"))
    }

    async fn unit(&self, _: Requests<v1::UnitReport>) -> Result<Answers<v1::UnitOrder>, Refusal> {
        Err(unavailable("not asked here"))
    }

    async fn subscribe(&self, _: v1::SubscribeRequest) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.here().map(|()| futures::stream::pending().boxed())
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        self.here().map(|()| v1::HistoryAnswer::default())
    }

    async fn change_history(&self, _: v1::HistoryChange) -> Result<v1::HistoryAnswer, Refusal> {
        Err(unavailable("not asked here"))
    }
}

/// E13: each exchange is heard of within a second, so that no configured address is needed later.
#[test]
fn all_that_were_configured_may_be_exchanged_within_seconds() {
    SimWorld::run(1, |world| async move {
        let (env, town, leading) = (world.node("client"), Town::default(), Leading::default());
        let configured = ["a:1".to_string()];
        town.becomes(&["a:1"]);
        for voters in [
            &["a:1", "b:1"][..],
            &["b:1"],
            &["b:1", "c:1", "d:1"],
            &["d:1", "e:1", "f:1"],
            &["f:1", "g:1", "h:1"],
        ] {
            let found = leading.find(&env, &town, &configured).await.unwrap();
            town.becomes(voters);
            env.sleep(Duration::from_secs(1)).await;
            let answered = found.history().await;
            let again = leading.find(&env, &town, &configured).await;
            let led = again.unwrap().status().await.unwrap();
            assert_eq!(led.leader_address, voters[0], "{answered:?}");
        }
    });
}

/// What is remembered of a sequencer holds nothing that remembers it: neither the connection nor the watch
/// outlive those who ask.
#[test]
fn who_is_not_asked_any_more_is_let_go_of() {
    SimWorld::run(1, |world| async move {
        let (env, town, leading) = (world.node("client"), Town::default(), Leading::default());
        town.becomes(&["a:1"]);
        let found = leading.find(&env, &town, &["a:1".to_string()]).await;
        let found = found.unwrap();
        drop(leading);
        env.sleep(Duration::from_secs(1)).await;
        assert!(found.history().await.is_ok());
        drop(found);
        env.sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&town.group), 1, "only the town's own");
    });
}

/// A stream that began at a follower stays there, also when that leads later: its silence is noticed too.
#[test]
fn a_follower_that_falls_silent_is_left() {
    SimWorld::run(1, |world| async move {
        let (env, town, leading) = (world.node("client"), Town::default(), Leading::default());
        town.becomes(&["a:1", "b:1", "c:1"]);
        town.group.lock().elects = true;
        let found = leading.find(&env, &town, &["a:1".into()]).await.unwrap();
        let request = v1::SubscribeRequest::default();
        let mut events = found.subscribe(request).await.unwrap();
        let heard = env.timeout(Duration::from_secs(5), events.next()).await;
        assert!(heard.is_err(), "there is nothing to hear");
        town.group.lock().silent = true;
        let heard = env.timeout(Duration::from_secs(1), events.next()).await;
        assert!(matches!(heard, Ok(Some(Err(_)))), "{heard:?}");
    });
}
