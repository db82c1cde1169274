//! Of a request: the spans that all members keep of it, as a tree.
use super::spans::{Step, Tree, field, shown};
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::quote;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// One that does not answer by then is left out, and said so.
const MEMBER_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn why(call: &Call, trace_id: u128) -> Outcome {
    let id = format!("{trace_id:032x}");
    let connector = call.connector().await?;
    let status = connector.sequencer().await?.status().await?;
    let asked = addresses(&status).into_iter().map(|address| {
        let (connector, env) = (connector.clone(), call.env.clone());
        async move {
            let told = connector.spans(&address, trace_id);
            (address.clone(), env.timeout(MEMBER_WITHIN, told).await)
        }
    });
    let (mut spans, mut silent) = (Vec::new(), Vec::new());
    for (address, told) in join_all(asked).await {
        match told {
            Ok(Ok(told)) => spans.extend(told.spans),
            Ok(Err(_)) | Err(_) => silent.push(address),
        }
    }
    if !silent.is_empty() {
        call.note(&format!(
            "no answer from {}: its spans are missing",
            silent.join(", ")
        ));
    }
    let Some(tree) = Tree::of(spans) else {
        let why = "no member keeps anything of it: they keep the newest 4,096 spans, and of fast commands only their own";
        let advice = "Check the id; or run the command again, and ask at once";
        return Err(Failure::new(
            Exit::NotFound,
            format!("no request {id}"),
            why,
            advice,
        ));
    };
    let verdict = verdict(&tree, &status);
    let text = text(&verdict, &tree);
    let fields = json!({
        "verdict": verdict,
        "total_us": tree.total_us,
        "spans": tree.steps.iter().map(to_json).collect::<Vec<_>>(),
        "silent": silent,
    });
    call.output.data("Why", 0, fields, id.as_bytes(), &text)
}

/// Every process that may know something.
fn addresses(status: &v1::SequencerStatusAnswer) -> BTreeSet<String> {
    let members = status.members.iter().flat_map(|all| &all.members);
    let there = members.filter(|member| !member.removed && !member.address.is_empty());
    let voters = status.voter_addresses.iter().cloned();
    there
        .map(|member| member.address.clone())
        .chain(voters)
        .collect()
}

/// The one line on top.
fn verdict(tree: &Tree, status: &v1::SequencerStatusAnswer) -> String {
    let total = millis(tree.total_us);
    if let Some(step) = tree.waits() {
        let span = &step.span;
        let since = millis(span.duration_us);
        let mut line = format!("waiting: {} for {since}", shown(span));
        if !span.waits_for.is_empty() {
            let _ = write!(line, ", for {}", quote::one_line(&span.waits_for));
        }
        let away =
            field(span, "stripe").map(|stripe| super::lsn::away(status, stripe.parse().ok()));
        if let Some(away) = away.filter(|away| !away.is_empty()) {
            let _ = write!(line, "; {}", away.join(", "));
        }
        return line;
    }
    match tree.slowest() {
        Some(step) => format!(
            "slowest: {}: {} of {total}",
            shown(&step.span),
            millis(step.own_us)
        ),
        None => format!("took {total}"),
    }
}

fn text(verdict: &str, tree: &Tree) -> String {
    let mut text = verdict.to_owned();
    let _ = write!(text, "\n{:>12} {:>12}", "TOOK", "BY ITSELF");
    for step in &tree.steps {
        let span = &step.span;
        let (took, own) = (millis(span.duration_us), millis(step.own_us));
        let line = format!("{}{}", "  ".repeat(step.depth), shown(span));
        let _ = write!(text, "\n{took:>12} {own:>12}  {}", quote::one_line(&line));
        if span.open {
            let _ = write!(text, "  … {}", span.waits_for);
        }
        if !span.refusal.is_empty() {
            let _ = write!(text, "  refused: {}", quote::one_line(&span.refusal));
        }
    }
    text
}

fn to_json(step: &Step) -> Value {
    let span = &step.span;
    let fields = span.fields.iter();
    let fields = fields.map(|field| (field.name.clone(), Value::from(field.value.clone())));
    json!({
        "span": format!("{:016x}", span.span),
        "parent": format!("{:016x}", span.parent),
        "name": span.name,
        "role": span.role,
        "node": span.node_id,
        "start_us": span.start_us,
        "duration_us": span.duration_us,
        "own_us": step.own_us,
        "open": span.open,
        "waits_for": span.waits_for,
        "refusal": span.refusal,
        "fields": fields.collect::<serde_json::Map<_, _>>(),
    })
}

fn millis(us: u64) -> String {
    match us {
        0..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        _ => format!("{} ms", us / 1000),
    }
}
