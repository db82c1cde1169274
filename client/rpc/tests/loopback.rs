//! Roles over a real loopback connection: answers, streams and refusals arrive as they were sent.
use async_trait::async_trait;
use dfs_env::Env;
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::{Answers, Connector, LogUnit, Requests};
use dfs_rpc::serve::{Roles, SharedRoles, serve};
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Credits every frame it is sent; refuses everything else.
struct Echo;

fn refused() -> Refusal {
    Refusal::new(Code::Corrupt, "extent 1/2", "block 3 is damaged").at(9)
}

#[async_trait]
impl LogUnit for Echo {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        let credits = frames.map(|request| {
            let credit = v1::Credit {
                lane: request.lane,
                staged_idx: request.first_idx + request.frames.len() as u64,
                ..Default::default()
            };
            Ok(v1::CreditBatch {
                credits: vec![credit],
            })
        });
        Ok(credits
            .chain(futures::stream::iter([Err(refused())]))
            .boxed())
    }

    async fn scan(&self, _: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        Err(refused())
    }

    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        let parts: Vec<_> = parts.collect().await;
        Ok(v1::Stored {
            length: parts.len() as u32,
            ..Default::default()
        })
    }

    async fn load(&self, _: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        Err(refused())
    }

    async fn status(&self, _: v1::UnitStatusRequest) -> Result<v1::UnitStatusAnswer, Refusal> {
        Err(refused())
    }

    async fn fetch(&self, request: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        let batch = v1::FetchBatch {
            bytes_left: request.unit_id,
            ..Default::default()
        };
        Ok(futures::stream::iter([Ok(batch), Err(refused())]).boxed())
    }
}

async fn listen(cluster: &'static [u8]) -> String {
    let env = Env::real();
    let mut roles = Roles::default();
    roles.units.insert(7, Arc::new(Echo));
    roles.identity.cluster_id = cluster.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let roles: SharedRoles = Arc::new(RwLock::new(roles));
    env.spawn("serve", serve(listener, roles, std::future::pending()));
    address
}

fn connector() -> Arc<NodeConnector> {
    NodeConnector::new(Env::real(), SharedRoles::default(), Vec::new())
}

#[tokio::test]
async fn streams_and_refusals_arrive_as_they_were_sent() {
    let address = listen(b"one").await;
    let unit = connector().unit(7, &address).await.expect("it answers");
    let request = |first_idx| v1::AppendRequest {
        unit_id: 7,
        lane: 3,
        first_idx,
        frames: vec![vec![0; 100_000].into(); 5],
        traces: Vec::new(),
    };
    let sent = futures::stream::iter([request(0), request(5)]);
    let mut credits = unit.append(sent.boxed()).await.expect("taken");
    for staged in [5, 10] {
        let batch = credits.next().await.expect("an answer").expect("credit");
        assert_eq!(
            (batch.credits[0].lane, batch.credits[0].staged_idx),
            (3, staged)
        );
    }
    let last = credits
        .next()
        .await
        .expect("the refusal")
        .expect_err("refused");
    assert!(last == refused());
    let status = unit.status(v1::UnitStatusRequest { unit_id: 7 }).await;
    assert!(status.expect_err("refused") == refused());
    let request = v1::FetchRequest {
        unit_id: 7,
        wanted: None,
    };
    let mut fetched = unit.fetch(request).await.expect("taken");
    let batch = fetched.next().await.expect("an answer").expect("a batch");
    assert_eq!(batch.bytes_left, 7);
    assert!(fetched.next().await.expect("the refusal").is_err());
}

#[tokio::test]
async fn a_unit_that_is_not_here_is_unavailable() {
    let address = listen(b"one").await;
    let unit = connector().unit(8, &address).await.expect("connected");
    let refusal = unit
        .status(v1::UnitStatusRequest { unit_id: 8 })
        .await
        .expect_err("absent");
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(refusal.is_retryable() && refusal.get().not_done);
}

#[tokio::test]
async fn another_cluster_is_refused_at_the_handshake() {
    let address = listen(b"one").await;
    let connector = connector();
    connector.identify(bytes::Bytes::from_static(b"two"), 1, 1, "unit");
    let refusal = connector.unit(7, &address).await.err().expect("refused");
    assert_eq!(refusal.code(), Code::Mismatch);
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_says_so() {
    let refusal = connector()
        .unit(7, "127.0.0.1:1")
        .await
        .err()
        .expect("refused");
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(refusal.get().why.contains("refused"), "{refusal}");
}
