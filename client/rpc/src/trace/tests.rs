//! What is carried, what is kept, and what is left out.
use super::headers::parse;
use super::ring::{SPANS_OF_A_TRACE, left_out, spans_of};
use super::{Span, TraceContext, Who, carried, current, within};
use dfs_env::Env;
use dfs_wire::{Code, Refusal};
use std::time::Duration;

const WHO: Who = Who::materializer(3);

#[tokio::test]
async fn what_is_not_sampled_makes_no_span() {
    let env = Env::real();
    let span = Span::here(&env, "fs.read", Who::CLIENT).with("kind", "stat");
    assert!(!span.is_kept() && span.context().is_none());
    let seen = span.covers(async { Ok::<_, Refusal>(current()) }).await;
    assert_eq!(seen.expect("no refusal"), None);
}

#[tokio::test]
async fn a_task_works_for_the_request_that_made_it() {
    let env = Env::real();
    let trace_id = env.random_u128();
    let root = Span::root(&env, trace_id, "cli.command", Who::CLI);
    let asked = root.run(async {
        let task = env.spawn("task", carried(async { current() }));
        (current(), task.await.expect("joined"))
    });
    let (here, there) = asked.await;
    assert_eq!((here, there), (root.context(), root.context()));
    assert_eq!(here.expect("sampled").trace_id, trace_id);
    assert_eq!(current(), None);
}

#[tokio::test]
async fn open_spans_say_what_they_wait_for_and_ended_ones_how_long_they_took() {
    let env = Env::real();
    let trace_id = env.random_u128();
    let root = Span::root(&env, trace_id, "cli.command", Who::CLI);
    let began = env.now() - Duration::from_millis(200);
    let step = Span::begin_at(&env, root.context(), "unit.append", WHO, began);
    step.set("unit", 2);
    step.waits_for(|| "unit 2".into());
    let seen = spans_of(trace_id, env.now());
    let open = seen.iter().find(|span| span.name == "unit.append");
    let open = open.expect("it is kept");
    assert!(open.open && open.duration_us >= 200_000, "{open:?}");
    assert_eq!((open.waits_for.as_str(), open.node_id), ("unit 2", 3));
    step.refused(&Refusal::new(Code::NoSpace, "frame", "full"));
    step.end_at(began + Duration::from_millis(100));
    let seen = spans_of(trace_id, env.now());
    let ended = seen.iter().find(|span| span.name == "unit.append");
    let ended = ended.expect("it is kept");
    assert_eq!((ended.open, ended.duration_us), (false, 100_000));
    assert!(ended.waits_for.is_empty() && ended.refusal.contains("full"));
    assert_eq!(Some(ended.parent), root.context().map(|root| root.span));
    Span::begin(&env, root.context(), "unit.append", WHO).discard();
    assert_eq!(spans_of(trace_id, env.now()).len(), 2);
}

#[tokio::test]
async fn one_trace_leaves_room_for_others() {
    let env = Env::real();
    let root = Span::root(&env, env.random_u128(), "cli.command", Who::CLI);
    let before = left_out();
    for _ in 1..SPANS_OF_A_TRACE {
        assert!(Span::begin(&env, root.context(), "fs.read", WHO).is_kept());
    }
    let more = Span::begin(&env, root.context(), "fs.read", WHO);
    assert!(!more.is_kept());
    assert_eq!(more.context(), root.context()); // what is below it hangs on the root
    assert!(left_out() > before);
    let other = Span::root(&env, env.random_u128(), "cli.command", Who::CLI);
    assert!(other.is_kept());
}

#[test]
fn a_traceparent_is_read_as_w3c_says() {
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let read = parse(&format!("00-{trace}-{span}-01"));
    let expected = TraceContext {
        trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
        span: 0xb7ad_6b71_6920_3331,
    };
    assert_eq!(read, Some(expected));
    // A later version may say more.
    assert_eq!(parse(&format!("01-{trace}-{span}-03-x")), Some(expected));
    let zeros = "0".repeat(32);
    for other in [
        format!("00-{trace}-{span}-00"),
        format!("ff-{trace}-{span}-01"),
        format!("00-{zeros}-{span}-01"),
        format!("00-{trace}-{span}"),
        format!("00-{trace}-+7ad6b7169203331-01"),
        String::new(),
    ] {
        assert_eq!(parse(&other), None, "{other}");
    }
}

#[tokio::test]
async fn a_call_tells_whom_it_is_for() {
    let context = TraceContext {
        trace_id: 5,
        span: 7,
    };
    let told = within(Some(context), async {
        super::told_to(tonic::Request::new(()))
    });
    assert_eq!(super::asked_for(told.await.metadata()), Some(context));
    let nobody = super::told_to(tonic::Request::new(()));
    assert!(nobody.metadata().is_empty());
}

#[test]
fn the_documented_table_is_the_one_here() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/TRACES.md");
    let text = std::fs::read_to_string(file).expect("it lies there");
    assert!(text.contains(&super::table()), "now:\n{}", super::table());
}
