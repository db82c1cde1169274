//! Spans of one request as a tree: how long each took by itself, and which took longest.
use dfs_wire::v1::TracedSpan;
use std::collections::BTreeMap;

/// A span in its place.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) span: TracedSpan,
    pub(super) depth: usize,
    /// Of its time within the request, what none of its children took.
    pub(super) own_us: u64,
}

pub(super) struct Tree {
    /// Children behind their parent, in the order in which they began.
    pub(super) steps: Vec<Step>,
    pub(super) total_us: u64,
}

impl Tree {
    /// `None`: there are none.
    pub(super) fn of(spans: Vec<TracedSpan>) -> Option<Tree> {
        let mut by_id: BTreeMap<u64, TracedSpan> = BTreeMap::new();
        for span in spans.into_iter().filter(|span| span.span != 0) {
            match by_id.get(&span.span) {
                // Two tell of it: the one that saw it end knows more.
                Some(known) if !known.open || span.open => {}
                _ => drop(by_id.insert(span.span, span)),
            }
        }
        let mut below: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for span in by_id.values() {
            let known = by_id.contains_key(&span.parent) && span.parent != span.span;
            let parent = if known { span.parent } else { 0 };
            below.entry(parent).or_default().push(span.span);
        }
        for children in below.values_mut() {
            children.sort_by_key(|id| by_id.get(id).map(|span| (span.start_us, *id)));
        }
        // Without the client's own spans there is no root: then from the first to the last that is known.
        let tops: Vec<&TracedSpan> = below
            .get(&0)?
            .iter()
            .filter_map(|id| by_id.get(id))
            .collect();
        let begins = tops.iter().map(|span| span.start_us).min()?;
        let ends = tops
            .iter()
            .map(|span| span.start_us.saturating_add(span.duration_us))
            .max()?;
        let mut tree = Tree {
            steps: Vec::with_capacity(by_id.len()),
            total_us: ends - begins,
        };
        let mut todo: Vec<(u64, usize)> = below[&0].iter().rev().map(|id| (*id, 0)).collect();
        while let Some((id, depth)) = todo.pop() {
            let Some(span) = by_id.get(&id) else { continue };
            let children = below.get(&id).map_or(&[][..], Vec::as_slice);
            let inner: Vec<&TracedSpan> = children.iter().filter_map(|id| by_id.get(id)).collect();
            tree.steps.push(Step {
                span: span.clone(),
                depth,
                own_us: own_us(span, &inner, (begins, ends)),
            });
            todo.extend(children.iter().rev().map(|id| (*id, depth + 1)));
        }
        Some(tree)
    }

    /// The one that took longest by itself.
    pub(super) fn slowest(&self) -> Option<&Step> {
        // Of equal ones the deepest: it is nearest to the cause.
        self.steps
            .iter()
            .max_by_key(|step| (step.own_us, step.depth))
    }

    /// Of what goes on still, the innermost that has waited longest.
    pub(super) fn waits(&self) -> Option<&Step> {
        // The request has its answer: a unit that still writes a copy of its own delays nobody.
        let root = self.steps.iter().find(|step| step.span.parent == 0);
        if root.is_some_and(|root| !root.span.open) {
            return None;
        }
        let open = self
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.span.open);
        let innermost = open.filter(|(at, step)| {
            let mut inner = self.steps[at + 1..].iter();
            let inner = inner.by_ref().take_while(|next| next.depth > step.depth);
            !inner.into_iter().any(|next| next.span.open)
        });
        let longest = innermost.max_by_key(|(_, step)| step.span.duration_us);
        longest.map(|(_, step)| step)
    }
}

/// What of `span` lies within the request and in none of its children.
fn own_us(span: &TracedSpan, inner: &[&TracedSpan], (begins, ends): (u64, u64)) -> u64 {
    let within = |span: &TracedSpan| {
        let (from, to) = (
            span.start_us,
            span.start_us.saturating_add(span.duration_us),
        );
        (from.clamp(begins, ends), to.clamp(begins, ends))
    };
    let (from, to) = within(span);
    let (mut own, mut at) = (0, from);
    for child in inner {
        let (begins, ends) = within(child);
        own += begins.min(to).saturating_sub(at);
        at = at.max(ends);
    }
    own + to.saturating_sub(at)
}

pub(super) fn field<'a>(span: &'a TracedSpan, name: &str) -> Option<&'a str> {
    let field = span.fields.iter().find(|field| field.name == name);
    field.map(|field| field.value.as_str())
}

/// `unit.append on unit 2 (lane 7, stripe 1)`
pub(super) fn shown(span: &TracedSpan) -> String {
    let unit = field(span, "unit").filter(|_| span.role != "sequencer");
    let place = match (unit, span.role.as_str(), span.node_id) {
        (Some(unit), ..) => format!(" on unit {unit}"),
        (None, role, 0) => format!(" in the {role}"),
        (None, role, node) => format!(" on {role} {node}"),
    };
    let named = ["shard", "lane", "stripe", "group", "path", "kind"];
    let named = named.iter().filter_map(|name| {
        let value = field(span, name)?;
        Some(format!("{name} {value}"))
    });
    let named: Vec<String> = named.collect();
    match named.is_empty() {
        true => format!("{}{place}", span.name),
        false => format!("{}{place} ({})", span.name, named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfs_wire::v1::SpanField;

    fn span(id: u64, parent: u64, name: &str, from_ms: u64, to_ms: u64) -> TracedSpan {
        TracedSpan {
            span: id,
            parent,
            name: name.into(),
            role: "log unit".into(),
            start_us: 1_000_000 + from_ms * 1000,
            duration_us: (to_ms - from_ms) * 1000,
            ..TracedSpan::default()
        }
    }

    #[test]
    fn the_slowest_is_the_one_whose_own_time_is_longest() {
        let slow = TracedSpan {
            fields: vec![SpanField {
                name: "unit".into(),
                value: "2".into(),
            }],
            ..span(4, 2, "extents.store", 5, 208)
        };
        let tree = Tree::of(vec![
            span(3, 2, "extents.store", 5, 9),
            slow,
            span(2, 1, "fs.store", 4, 209),
            span(1, 0, "cli.command", 0, 214),
            // Goes on after the request is over: that part is nobody's time.
            span(5, 1, "unit.append", 210, 900),
        ]);
        let tree = tree.expect("there are some");
        assert_eq!(tree.total_us, 214_000);
        let slowest = tree.slowest().expect("one");
        assert_eq!((slowest.own_us, slowest.depth), (203_000, 2));
        assert_eq!(shown(&slowest.span), "extents.store on unit 2");
        let order: Vec<u64> = tree.steps.iter().map(|step| step.span.span).collect();
        assert_eq!(order, [1, 2, 3, 4, 5]);
        let own: Vec<u64> = tree.steps.iter().map(|step| step.own_us).collect();
        assert_eq!(own, [5_000, 2_000, 4_000, 203_000, 4_000]);
    }

    #[test]
    fn what_goes_on_still_names_its_innermost_wait() {
        let open = |id, parent, name, waits: &str| TracedSpan {
            open: true,
            waits_for: waits.into(),
            ..span(id, parent, name, 0, 50)
        };
        let tree = Tree::of(vec![
            open(2, 9, "materializer.request", ""),
            open(3, 2, "materializer.append", "a cut of lane 7"),
            span(4, 3, "unit.append", 1, 2),
        ]);
        let tree = tree.expect("there are some");
        let waits = tree.waits().expect("one");
        assert_eq!(waits.span.waits_for, "a cut of lane 7");
    }

    #[test]
    fn who_saw_it_end_is_believed_and_a_loop_is_none() {
        let early = TracedSpan {
            open: true,
            ..span(1, 0, "cli.command", 0, 3)
        };
        let tree = Tree::of(vec![early.clone(), span(1, 0, "cli.command", 0, 9), early]);
        assert_eq!(tree.expect("one").total_us, 9_000);
        assert!(Tree::of(Vec::new()).is_none());
        assert!(Tree::of(vec![span(7, 7, "x", 0, 1)]).is_some());
    }
}
