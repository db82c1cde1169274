//! `dfsctl connect`: asks a cluster who it is, and remembers it as a profile.
use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::profile::{self, Profile, check_sequencer};
use crate::quote;
use crate::remote::Cluster;
use serde_json::json;

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  dfsctl connect 10.0.0.1:9010 --name prod")]
pub struct Args {
    #[arg(required = true, value_parser = check_sequencer, value_name = "HOST:PORT")]
    sequencers: Vec<String>,
    /// Name of the profile that is kept and selected
    #[arg(long, default_value = "default")]
    name: String,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let mut found = Profile {
        sequencers: args.sequencers,
        cluster_id: String::new(),
    };
    let cluster = call.cluster_at(&found).await?;
    let status = cluster.fs.status().await?;
    found.cluster_id = quote::hex(&status.sequencer.cluster_id);
    if !profile::is_name(&args.name) {
        let why = "names of profiles are letters, digits, `-`, `_` and `.`";
        return Err(Failure::usage(
            format!("bad name `{}`", args.name),
            why,
            "Choose another name",
        ));
    }
    if !call.globals.dry_run {
        profile::remember(&args.name, found)?;
        call.note(&format!("profile {} is kept and in use", args.name));
    }
    tell(call, &cluster).await
}

/// One line about a cluster that answers.
pub(crate) async fn tell(call: &Call, cluster: &Cluster) -> Outcome {
    let status = cluster.fs.status().await?;
    let sequencer = &status.sequencer;
    let id = quote::hex(&sequencer.cluster_id);
    let lsn = sequencer.next_lsn.saturating_sub(1);
    let (units, materializers) = (status.units.len(), status.materializers.len());
    let fields = json!({ "cluster_id": id, "units": units, "materializers": materializers });
    let line = format!("cluster {id}  units {units}  materializers {materializers}  lsn {lsn}");
    call.output
        .data("Cluster", lsn, fields, id.as_bytes(), &line)
}
