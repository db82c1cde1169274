//! Sessions: opened once, kept, ended (FOLD-S1, C1, C2).
use super::*;
use std::time::Duration;

#[test]
fn a_repeated_nonce_gets_the_same_session() {
    SimWorld::run(31, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        let open = request(Op::OpenSession(v1::OpenSession {
            client_nonce: vec![9; 16].into(),
        }));
        let ids = client.send(vec![open.clone(), open]).await;
        let (first, second) = (client.answer(ids[0]).await, client.answer(ids[1]).await);
        let (Some(Body::Session(first)), Some(Body::Session(second))) = (first.body, second.body)
        else {
            panic!("sessions")
        };
        assert_eq!(first.session, second.session);
        assert_eq!(client.open_session(9).await, first.session);
        assert_ne!(client.open_session(10).await, first.session);
        assert_eq!(node.role.status().await.unwrap().sessions, 2);
    });
}

#[test]
fn a_silent_session_expires_on_an_idle_log_and_a_kept_one_does_not() {
    SimWorld::run(32, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let (mut silent, mut kept) = (node.client().await, node.client().await);
        silent.open_session(1).await;
        kept.open_session(2).await;
        let keep = v1::KeepSession {
            session: kept.session.session,
        };
        for _ in 0..8 {
            node.env.sleep(Duration::from_micros(LEASE_US / 4)).await;
            kept.ask(request(Op::KeepSession(keep))).await.unwrap();
        }
        assert_eq!(node.role.status().await.unwrap().sessions, 1);
        let late = silent.mutate(0, 1, mkdir("d")).await;
        assert_eq!(code(&late), Some(Code::SessionGone));
        kept.mutate(0, 1, mkdir("d")).await.unwrap();
    });
}

#[test]
fn a_closed_session_is_gone() {
    SimWorld::run(33, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        let session = client.open_session(1).await;
        client.mutate(0, 1, mkdir("d")).await.unwrap();
        let close = request(Op::CloseSession(v1::CloseSession { session }));
        client.ask(close.clone()).await.unwrap();
        assert_eq!(code(&client.ask(close).await), Some(Code::SessionGone));
        assert_eq!(
            code(&client.mutate(0, 2, mkdir("e")).await),
            Some(Code::SessionGone)
        );
    });
}
