//! What every shared log must do, told as stories. One rig serves all of them in turn.
#![allow(
    clippy::unwrap_used,
    reason = "a suite of tests: it panics where the contract is broken"
)]

use std::sync::Arc;

use bytes::Bytes;
use dfs_wire::limits::{FRAME_RECORDS_MAX, RECORD_BYTES_MAX};
use dfs_wire::{Code, Tag, v1};
use futures::future::{join, join_all};

use crate::{Appender, Committed, Draft, Event, Follow, Follower, FrameAt, Lsn, SharedLog, Ticket};

/// Two processes of one cluster. Where there are several stripes, their lanes should lie on different ones.
pub struct Rig {
    pub one: Arc<dyn SharedLog>,
    pub other: Arc<dyn SharedLog>,
    pub owner_one: v1::Owner,
    pub owner_other: v1::Owner,
}

/// Runs the whole suite; panics where the log breaks its contract.
pub async fn run(rig: &Rig) {
    both_lanes_merge_into_one_order(rig).await;
    only_equal_records_share_a_frame(rig).await;
    frames_of_a_term_are_counted(rig).await;
    a_follower_gets_its_tags_and_hears_how_far_it_is_complete(rig).await;
    a_follower_that_begins_inside_a_frame_gets_all_of_it(rig).await;
    a_follower_hears_what_is_appended_later(rig).await;
    sizes_are_bounded(rig).await;
    the_window_pushes_back_and_everything_gets_through(rig).await;
    the_end_lies_beyond_what_was_committed(rig).await;
}

fn draft(tag: u64, text: &str) -> Draft {
    Draft {
        tags: vec![Tag(tag)],
        record: Bytes::from(text.to_owned()),
        ..Draft::default()
    }
}

async fn next_lsn(log: &Arc<dyn SharedLog>) -> Lsn {
    log.end(true).await.unwrap().next_lsn
}

async fn append_all(appender: &Appender, drafts: Vec<Draft>) -> Vec<Committed> {
    let mut tickets: Vec<Ticket> = Vec::new();
    for draft in drafts {
        tickets.push(appender.append(draft).await.unwrap());
    }
    join_all(tickets)
        .await
        .into_iter()
        .map(|committed| committed.unwrap())
        .collect()
}

/// Everything up to `last`, and checks the order on the way.
async fn read(follower: &mut Follower, last: Lsn) -> Vec<FrameAt> {
    let (mut frames, mut through): (Vec<FrameAt>, _) = (Vec::new(), 0);
    while through < last {
        for event in follower.next().await.unwrap().events {
            match event {
                Event::Frame(at) => {
                    let before = frames.last().map_or(0, FrameAt::last_lsn);
                    assert!(at.first_lsn > before.max(through), "strict LSN order");
                    frames.push(at);
                }
                Event::Through { lsn, .. } => {
                    assert!(lsn >= through && frames.last().is_none_or(|at| at.last_lsn() <= lsn));
                    through = lsn;
                }
            }
        }
    }
    frames
}

async fn read_between(
    log: &Arc<dyn SharedLog>,
    own: bool,
    tags: &[u64],
    from: Lsn,
    last: Lsn,
) -> Vec<FrameAt> {
    let tags = tags.iter().copied().map(Tag).collect();
    let mut follower = log.follow(from, Follow { tags, own }).await.unwrap();
    read(&mut follower, last).await
}

fn records(frames: &[FrameAt]) -> Vec<(Lsn, Bytes)> {
    let records = |at: &FrameAt| (at.first_lsn..).zip(at.frame.records().unwrap());
    frames.iter().flat_map(records).collect()
}

async fn both_lanes_merge_into_one_order(rig: &Rig) {
    let one = rig.one.appender(rig.owner_one).await.unwrap();
    let other = rig.other.appender(rig.owner_other).await.unwrap();
    assert_ne!(one.lane(), other.lane());
    let from = next_lsn(&rig.one).await;
    let drafts = |who: &str| {
        (0..300)
            .map(|n| draft(1, &format!("{who} {n}")))
            .collect::<Vec<_>>()
    };
    let (drafts_one, drafts_other) = (drafts("one"), drafts("other"));
    let mut appended = (Vec::new(), Vec::new());
    for (one_drafts, other_drafts) in drafts_one.chunks(10).zip(drafts_other.chunks(10)) {
        let both = join(
            append_all(&one, one_drafts.to_vec()),
            append_all(&other, other_drafts.to_vec()),
        )
        .await;
        appended.0.extend(both.0);
        appended.1.extend(both.1);
    }
    let mut expected: Vec<(Lsn, Bytes)> = Vec::new();
    for (drafts, places) in [(&drafts_one, &appended.0), (&drafts_other, &appended.1)] {
        assert!(
            places.windows(2).all(|w| w[0].lsn < w[1].lsn),
            "a lane keeps its order"
        );
        assert!(places.windows(2).all(|w| {
            let later = w[0].log_time_us < w[1].log_time_us;
            later == (w[0].cut_seq < w[1].cut_seq)
        }));
        let placed = |(place, draft): (&Committed, &Draft)| (place.lsn, draft.record.clone());
        expected.extend(places.iter().zip(drafts).map(placed));
    }
    expected.sort();
    let lsns: Vec<Lsn> = expected.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(
        lsns,
        (from..from + 600).collect::<Vec<_>>(),
        "LSNs are dense"
    );
    for log in [&rig.one, &rig.other] {
        for own in [true, false] {
            let frames = read_between(log, own, &[], from, from + 599).await;
            assert_eq!(records(&frames), expected);
        }
    }
}

async fn only_equal_records_share_a_frame(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let guarded = |text: &str| Draft {
        guards: Bytes::from(text.to_owned()),
        ..draft(2, "guarded")
    };
    let privileged = Draft {
        privileged: true,
        ..draft(2, "privileged")
    };
    let kinds = [
        draft(2, "plain"),
        draft(3, "tagged"),
        guarded("a"),
        guarded("b"),
        privileged,
    ];
    let drafts: Vec<Draft> = (0..60)
        .map(|n| kinds[n / 3 % kinds.len()].clone())
        .collect();
    let places = append_all(&appender, drafts.clone()).await;
    let frames = read_between(&rig.one, true, &[], from, places[59].lsn).await;
    for at in &frames {
        let header = &at.frame.header;
        for offset in 0..u64::from(header.count) {
            let draft = &drafts[(at.first_lsn + offset - from) as usize];
            assert_eq!(
                (&header.tags, &header.guards),
                (&draft.tags, &draft.guards),
                "LOG-A5"
            );
            assert_eq!(header.privileged, draft.privileged);
        }
    }
}

async fn frames_of_a_term_are_counted(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let ordered = |order: (u64, u64)| Draft {
        order: Some(order),
        ..draft(4, "ordered")
    };
    let orders = [(1, 10), (2, 10), (1, 10), (1, 11)];
    let drafts = orders.into_iter().map(ordered).collect();
    let places = append_all(&appender, drafts).await;
    let frames = read_between(&rig.one, true, &[], from, places[3].lsn).await;
    let counted: Vec<_> = frames
        .iter()
        .filter_map(|at| at.frame.header.order)
        .collect();
    let counted: Vec<_> = counted
        .into_iter()
        .map(|o| (o.shard, o.term, o.n))
        .collect();
    assert_eq!(
        counted,
        [(1, 10, 1), (2, 10, 1), (1, 10, 2), (1, 11, 1)],
        "FOLD-X5"
    );
}

async fn a_follower_gets_its_tags_and_hears_how_far_it_is_complete(rig: &Rig) {
    let one = rig.one.appender(rig.owner_one).await.unwrap();
    let other = rig.other.appender(rig.owner_other).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let drafts = |n: u64| {
        (0..100)
            .map(|i| draft(10 + i % 5, &format!("{n} {i}")))
            .collect()
    };
    let appended = join(append_all(&one, drafts(1)), append_all(&other, drafts(2))).await;
    let last = appended.0[99].lsn.max(appended.1[99].lsn);
    for log in [&rig.one, &rig.other] {
        let frames = read_between(log, true, &[11, 13], from, last).await;
        assert!(
            frames
                .iter()
                .all(|at| [Tag(11), Tag(13)].contains(&at.frame.header.tags[0]))
        );
        assert_eq!(records(&frames).len(), 80);
        let frames = read_between(log, true, &[77], from, last).await;
        assert_eq!(frames.len(), 0, "only how far it is complete");
    }
}

async fn a_follower_that_begins_inside_a_frame_gets_all_of_it(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let drafts = (0..100).map(|n| draft(5, &format!("inside {n}"))).collect();
    let last = append_all(&appender, drafts).await[99].lsn;
    let frames = read_between(&rig.one, true, &[], from, last).await;
    let long = frames
        .iter()
        .find(|at| at.frame.header.count > 1)
        .expect("records gather");
    for log in [&rig.one, &rig.other] {
        for (tags, begins_with) in [(&[][..], Some(long.first_lsn)), (&[6], None)] {
            let frames = read_between(log, true, tags, long.first_lsn + 1, last).await;
            assert_eq!(frames.first().map(|at| at.first_lsn), begins_with);
        }
    }
}

async fn a_follower_hears_what_is_appended_later(rig: &Rig) {
    let one = rig.one.appender(rig.owner_one).await.unwrap();
    let other = rig.other.appender(rig.owner_other).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let own = Follow {
        tags: vec![Tag(7)],
        own: true,
    };
    let mut followers = [
        rig.one.follow(from, own.clone()).await.unwrap(),
        rig.one
            .follow(
                from,
                Follow {
                    own: false,
                    ..own.clone()
                },
            )
            .await
            .unwrap(),
        rig.other.follow(from, own).await.unwrap(),
    ];
    for round in 0..20 {
        let (mine, theirs) = (
            draft(7, &format!("mine {round}")),
            draft(7 + round % 2, "theirs"),
        );
        let places = join(
            append_all(&one, vec![mine]),
            append_all(&other, vec![theirs]),
        )
        .await;
        let (mine, theirs) = (places.0[0], places.1[0]);
        for follower in &mut followers {
            let frames = read(follower, mine.lsn.max(theirs.lsn)).await;
            let mut expected = vec![mine.lsn];
            expected.extend((round % 2 == 0).then_some(theirs.lsn));
            expected.sort_unstable();
            let lsns: Vec<Lsn> = records(&frames).into_iter().map(|(lsn, _)| lsn).collect();
            assert_eq!(lsns, expected);
            let at = frames.iter().find(|at| at.first_lsn == mine.lsn).unwrap();
            assert_eq!(
                (at.cut_seq, at.log_time_us),
                (mine.cut_seq, mine.log_time_us)
            );
        }
    }
}

async fn sizes_are_bounded(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    let from = next_lsn(&rig.one).await;
    let mut large = draft(8, "");
    large.record = Bytes::from(vec![7; RECORD_BYTES_MAX + 1]);
    let refusal = appender
        .append(large.clone())
        .await
        .err()
        .expect("too large");
    assert_eq!(refusal.code(), Code::Invalid);
    large.record.truncate(RECORD_BYTES_MAX);
    let mut drafts = vec![large];
    drafts.extend((0..2 * FRAME_RECORDS_MAX).map(|_| draft(8, "")));
    let last = append_all(&appender, drafts).await.last().unwrap().lsn;
    let frames = read_between(&rig.other, true, &[], from, last).await;
    assert_eq!(frames[0].frame.header.count, 1);
    assert_eq!(
        frames[0].frame.records().unwrap()[0].len(),
        RECORD_BYTES_MAX
    );
    assert!(
        frames
            .iter()
            .all(|at| at.frame.header.count as usize <= FRAME_RECORDS_MAX)
    );
}

async fn the_window_pushes_back_and_everything_gets_through(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    let mut sent = draft(9, "");
    sent.record = Bytes::from(vec![1; 900 << 10]);
    let mut tickets = Vec::new();
    for _ in 0..30 {
        tickets.push(appender.append(sent.clone()).await.unwrap());
        assert!(
            appender.in_flight().bytes < 10 << 20,
            "the window is bounded"
        );
    }
    for (idx, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.nth(), idx as u64);
        ticket.committed().await.unwrap();
    }
    assert_eq!(appender.in_flight().records, 0);
    assert!(
        appender.try_append(sent).unwrap().is_ok(),
        "there is room again"
    );
    assert!(appender.room().is_enough());
}

async fn the_end_lies_beyond_what_was_committed(rig: &Rig) {
    let appender = rig.one.appender(rig.owner_one).await.unwrap();
    for _ in 0..10 {
        let place = append_all(&appender, vec![draft(9, "end")]).await[0];
        let ends = join_all((0..20).map(|_| rig.other.end(true))).await;
        for end in ends {
            let end = end.unwrap();
            assert!(
                end.next_lsn > place.lsn && end.log_time_us >= place.log_time_us,
                "LOG-I10"
            );
            assert!(end.now_us >= end.log_time_us);
        }
        assert!(rig.one.end(false).await.unwrap().next_lsn <= next_lsn(&rig.one).await);
    }
}
