//! `dfsctl profile list|use|add|test`: which clusters are known, and which is meant.
use crate::call::Call;
use crate::failure::{Failure, Outcome};
use crate::output::{Column, Item};
use crate::profile::{self, Profile, Profiles, check_sequencer};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand, Debug)]
pub enum Args {
    /// List the profiles; * marks the one in use
    #[command(after_help = "Example:\n  dfsctl profile list -o json")]
    List,
    /// Use this profile where none is named
    #[command(after_help = "Example:\n  dfsctl profile use dev")]
    Use { name: String },
    /// Add a profile, or change where its sequencers are
    #[command(
        after_help = "Example:\n  dfsctl profile add prod 10.0.0.1:9010 10.0.0.2:9010 10.0.0.3:9010"
    )]
    Add {
        name: String,
        #[arg(required = true, value_parser = check_sequencer, value_name = "HOST:PORT")]
        sequencers: Vec<String>,
        /// The id that the cluster must have, in hexadecimal; unknown: whatever answers
        #[arg(long, default_value = "")]
        cluster_id: String,
    },
    /// Ask the cluster of a profile whether it answers
    #[command(after_help = "Example:\n  dfsctl profile test dev")]
    Test { name: Option<String> },
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    match args {
        Args::List => list(call),
        Args::Use { name } => select(call, &name),
        Args::Add {
            name,
            sequencers,
            cluster_id,
        } => add(call, name, sequencers, cluster_id),
        Args::Test { name } => test(call, name).await,
    }
}

fn list(call: &Call) -> Outcome {
    let profiles = Profiles::load(&profile::path()?)?;
    let columns = ["", "NAME", "SEQUENCERS", "CLUSTER"].map(Column::text);
    let mut list = call.output.list("ProfileList", columns.to_vec());
    for (name, profile) in &profiles.profiles {
        let current = profiles.current.as_ref() == Some(name);
        let mark = if current { "*" } else { "" };
        let sequencers = profile.sequencers.join(",");
        list.push(
            0,
            Item {
                json: json!({
                    "name": name, "current": current, "sequencers": profile.sequencers,
                    "cluster_id": profile.cluster_id,
                }),
                name: name.clone().into_bytes(),
                cells: vec![
                    mark.into(),
                    name.clone(),
                    sequencers,
                    profile.cluster_id.clone(),
                ],
            },
        )?;
    }
    list.end(0, false)
}

fn select(call: &Call, name: &str) -> Outcome {
    let path = profile::path()?;
    let mut profiles = Profiles::load(&path)?;
    profiles.get(name)?;
    profiles.current = Some(name.to_string());
    keep(call, &profiles, name, format!("profile {name} is in use"))
}

fn add(call: &Call, name: String, sequencers: Vec<String>, cluster_id: String) -> Outcome {
    if !profile::is_name(&name) {
        let why = "names of profiles are letters, digits, `-`, `_` and `.`";
        return Err(Failure::usage(
            format!("bad name `{name}`"),
            why,
            "Choose another name",
        ));
    }
    let mut profiles = Profiles::load(&profile::path()?)?;
    let profile = Profile {
        sequencers,
        cluster_id,
    };
    profiles.profiles.insert(name.clone(), profile);
    profiles.current.get_or_insert_with(|| name.clone());
    keep(call, &profiles, &name, format!("profile {name} is kept"))
}

fn keep(call: &Call, profiles: &Profiles, name: &str, line: String) -> Outcome {
    if !call.globals.dry_run {
        profiles.save(&profile::path()?)?;
    }
    let fields =
        json!({ "name": name, "current": profiles.current, "dry_run": call.globals.dry_run });
    call.output
        .told("Profile", 0, fields, name.as_bytes(), &line)
}

async fn test(call: &Call, name: Option<String>) -> Outcome {
    let name = name.as_deref().or(call.globals.profile());
    let cluster = call.cluster_of(name).await?;
    super::connect::tell(call, &cluster).await
}
