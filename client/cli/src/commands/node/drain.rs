//! `dfsctl node drain`: what lies on a unit goes to others.
use super::asked::Group;
use super::named;
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::figures;
use dfs_rpc::roles::Sequencer;
use dfs_wire::v1;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How far it is, is asked again after this.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The log unit: unit/3
    #[arg(value_name = "NAME", value_parser = named::unit)]
    unit: u64,
    /// Let it work again instead
    #[arg(long)]
    undo: bool,
    /// Return at once; run the command again to see how far it is
    #[arg(long, conflicts_with = "undo")]
    no_wait: bool,
    /// How long it may take: 30s, 10m, 24h
    #[arg(long, value_name = "D", default_value = "1h", value_parser = crate::globals::parse_timeout)]
    deadline: Duration,
}

pub(super) async fn run(call: &Call, args: Args) -> Outcome {
    let group = Group::find(call).await?;
    let lsn = group.status().await?.next_lsn.saturating_sub(1);
    let name = format!("unit/{}", args.unit);
    let done = |is: &str, progress: &v1::DrainProgress| {
        let fields = json!({
            "name": name, "drained": progress.drained, "open_stripes": progress.open_stripes,
            "stripes_to_copy": progress.stripes_to_copy, "records_to_copy": progress.records_to_copy,
            "extents": progress.extents, "waits_for": progress.waits_for,
            "dry_run": call.globals.dry_run,
        });
        let line = format!("{name} {is}");
        call.output
            .told("NodeDrained", lsn, fields, name.as_bytes(), &line)
    };
    if call.globals.dry_run {
        return done("would be drained", &v1::DrainProgress::default());
    }
    let env = &call.env;
    let deadline = env.now() + args.deadline;
    let mut said = String::new();
    loop {
        let progress = ask(&group, &args).await?;
        if args.undo {
            return done("takes new lanes again", &progress);
        }
        let far = describe(&progress);
        if progress.drained {
            return done(&format!("is drained{}", extents(&progress)), &progress);
        }
        if args.no_wait {
            return done(&format!("is draining: {far}"), &progress);
        }
        if env.now() >= deadline {
            let what = format!("{name} is not drained yet");
            let advice = "It goes on; run the command again, or end it with --undo";
            return Err(Failure::new(Exit::TimedOut, what, far, advice));
        }
        if far != said {
            call.note(&format!("{name}: {far}"));
            said = far;
        }
        env.sleep(ASK_EVERY).await;
    }
}

/// Asking begins it, or only tells how far it is.
async fn ask(group: &Group<'_>, args: &Args) -> Outcome<v1::DrainProgress> {
    let request = v1::DrainUnitRequest {
        unit_id: args.unit,
        undo: args.undo,
    };
    let ask = async |leader: Arc<dyn Sequencer>| leader.drain_unit(request).await;
    Ok(group.try_with(ask).await?)
}

fn describe(progress: &v1::DrainProgress) -> String {
    let open = figures::count(progress.open_stripes, "open stripe", "open stripes");
    let copies = figures::count(progress.stripes_to_copy, "closed stripe", "closed stripes");
    let records = figures::count(progress.records_to_copy, "record", "records");
    let mut far = format!("{open} to leave, {copies} to copy ({records} at most)");
    if !progress.waits_for.is_empty() {
        far.push_str("; waits for ");
        far.push_str(&progress.waits_for);
    }
    far
}

/// They stay until files can be moved; with them it cannot be removed.
fn extents(progress: &v1::DrainProgress) -> String {
    if progress.extents == 0 {
        return "; it can be removed".into();
    }
    let extents = figures::count(progress.extents, "extent", "extents");
    format!("; {extents} of files stay on it")
}
