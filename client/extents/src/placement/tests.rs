//! What is kept of an answer that was asked for before the settings changed.
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Its first answer takes until it is let go; each names another group.
#[derive(Default)]
struct Turning {
    epoch: AtomicU64,
    asked: AtomicU64,
    let_go: Notify,
}

#[async_trait::async_trait]
impl Placer for Turning {
    async fn place(
        &self,
        _: Option<v1::Redundancy>,
        _: Vec<u64>,
    ) -> Result<v1::Placement, Refusal> {
        let group = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if group == 1 {
            self.let_go.notified().await;
        }
        let group = v1::Group {
            group,
            ..v1::Group::default()
        };
        Ok(v1::Placement {
            groups: vec![group],
            units: Vec::new(),
        })
    }

    async fn groups(&self, _: Vec<u64>) -> Result<v1::Placement, Refusal> {
        Ok(v1::Placement::default())
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    async fn next_extent(&self) -> Result<v1::ExtentId, Refusal> {
        Ok(v1::ExtentId::default())
    }
}

#[tokio::test]
async fn an_answer_of_an_old_epoch_is_used_once_and_not_kept() {
    let placer = Arc::new(Turning::default());
    let cache = PlacementCache::new(Env::real(), placer.clone());
    let open = async || cache.open(None, &[]).await.map(|found| found.group.group);
    let meanwhile = async {
        placer.epoch.store(1, Ordering::Relaxed);
        let new = open().await;
        placer.let_go.notify_one();
        new
    };
    let (old, new) = futures::join!(open(), meanwhile);
    assert_eq!((old, new), (Ok(1), Ok(2)));
    assert_eq!(open().await, Ok(2), "what was asked for under the new one");
    assert_eq!(placer.asked.load(Ordering::Relaxed), 2);
}
