//! Doubled, delayed and retried requests take effect once (FOLD-S3, P4).
use super::*;

#[test]
fn doubled_delayed_and_retried_requests_take_effect_once() {
    SimWorld::run(11, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let append = |n: u64| client.mutation(0, n, append("f", b"x"));
        let requests: Vec<_> = (2..=40).map(append).collect();
        client.mutate(0, 1, create("f", b"")).await.unwrap();
        let mut delayed = Vec::new();
        for request in &requests {
            // Twice at once, and a retry behind it.
            let mut batch = vec![request.clone(), request.clone(), retry(request, 2)];
            if world.below(2) == 0 {
                batch.extend(delayed.pop());
            }
            delayed.push(request.clone());
            let ids = client.send(batch).await;
            let first = client.answer(ids[0]).await;
            assert!(matches!(first.body, Some(Body::Done(_))), "{first:?}");
            for id in &ids[1..3] {
                let double = client.answer(*id).await;
                assert_eq!((&double.body, double.lsn), (&first.body, first.lsn));
            }
            let later = client.ask(retry(request, 3)).await.unwrap();
            assert_eq!((later.body, later.lsn), (first.body, first.lsn));
            for id in &ids[3..] {
                let zombie = client.answer(*id).await;
                let Some(Body::Refusal(refusal)) = zombie.body else {
                    panic!("refused")
                };
                assert_eq!(refusal.code(), Code::Invalid);
            }
        }
        assert_eq!(client.stat("f", None).await.unwrap().size, 39);
    });
}

#[test]
fn a_late_double_of_a_refused_attempt_is_dropped() {
    SimWorld::run(12, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let early = client.mutation(0, 1, create("d/f", b"x"));
        assert_eq!(code(&client.ask(early.clone()).await), Some(Code::NotFound));
        client.mutate(1, 1, mkdir("d")).await.unwrap();
        assert_eq!(code(&client.ask(early).await), Some(Code::TimedOut));
        assert!(client.names("d", None).await.unwrap().is_empty());
    });
}

#[test]
fn the_refusal_of_a_later_attempt_is_kept_in_the_slot() {
    SimWorld::run(13, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let request = client.mutation(0, 1, create("d/f", b"x"));
        let refused = client.ask(retry(&request, 2)).await;
        assert_eq!(code(&refused), Some(Code::NotFound));
        client.mutate(1, 1, mkdir("d")).await.unwrap();
        // The first attempt, overtaken: it gets what the slot holds, and is not applied now.
        let late = client.ask(request.clone()).await;
        assert_eq!(code(&late), Some(Code::NotFound));
        let retried = client.ask(retry(&request, 3)).await.unwrap_err();
        assert_eq!(retried.get().lsn, refused.unwrap_err().get().lsn);
        assert!(client.names("d", None).await.unwrap().is_empty());
    });
}

/// FOLD-S3: what cannot be read of the source now says nothing about an attempt that was done.
#[test]
fn the_retry_of_a_copy_that_was_done_gets_its_result() {
    SimWorld::run(15, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let made = client.mutate(0, 1, create("a", b"x")).await.unwrap().lsn;
        let copy = |lsn, to| {
            let from_view = Some(v1::View {
                view: Some(v1::view::View::AtLsn(lsn)),
            });
            v1::mutate::Op::Copy(v1::Copy {
                from: Some(at("a")),
                from_view,
                to: Some(at(to)),
                mode: v1::CommitMode::Create as i32,
            })
        };
        let done = client.mutate(0, 2, copy(made, "b")).await.unwrap();
        let again = client.mutation(0, 2, copy(1_000_000, "b"));
        let told = client.ask(retry(&again, 2)).await.unwrap();
        assert_eq!((told.lsn, &told.body), (done.lsn, &done.body));
        // One that was not done is refused, and that is kept (FOLD-S3).
        let refused = client.mutation(0, 3, copy(1_000_000, "c"));
        assert_eq!(
            code(&client.ask(retry(&refused, 2)).await),
            Some(Code::Invalid)
        );
        let late = client.mutate(0, 3, copy(made, "c")).await;
        assert_eq!(code(&late), Some(Code::Invalid));
    });
}

/// FOLD-P2: a refusal names the state that it was made from, not a later one in which it is wrong.
#[test]
fn a_refusal_is_true_at_its_lsn() {
    SimWorld::run(16, |world| async move {
        let mut cluster = Cluster::new(&world);
        let node = cluster.start(1).await;
        node.is("primary").await;
        let mut client = node.client().await;
        client.open_session(7).await;
        let requests = vec![
            client.mutation(0, 1, mkdir("d")),
            client.mutation(1, 1, super::remove("x")),
            client.mutation(2, 1, create("x", b"x")),
        ];
        let ids = client.send(requests).await;
        let before = client.answer(ids[0]).await.lsn;
        let refused = client.answer(ids[1]).await;
        let made = client.answer(ids[2]).await.lsn;
        let Some(Body::Refusal(refusal)) = refused.body else {
            panic!("{refused:?}")
        };
        assert!(
            refusal.lsn >= before && refusal.lsn < made,
            "{before} {refusal:?} {made}"
        );
    });
}

pub(super) fn append(path: &str, bytes: &'static [u8]) -> v1::mutate::Op {
    let content = v1::Content {
        size: bytes.len() as u64,
        crc32c: dfs_wire::frame::crc32c(bytes),
        inline: bytes.into(),
        extents: vec![],
    };
    v1::mutate::Op::Append(v1::Append {
        path: Some(at(path)),
        content: Some(content),
        if_size: None,
    })
}

pub(super) fn retry(request: &v1::Request, attempt: u32) -> v1::Request {
    let slot = request.slot.map(|slot| v1::SlotUse { attempt, ..slot });
    v1::Request {
        slot,
        ..request.clone()
    }
}
