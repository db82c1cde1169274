//! `dfsctl config set|unset|get|history|settings`: settings of the cluster, which are records of its log.
mod get;
mod history;
mod set;
mod settings;
mod unset;

use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::moment::Moment;
use clap::Subcommand;
use dfs_fs::settings::{Setting, by_name, names};
use dfs_fs::{When, v1};

/// What is the cluster's; a process's own configuration is not.
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Change settings of the cluster, at run time and for all
    Set(set::Args),
    /// Set settings of the cluster back to what it was made with
    Unset(unset::Args),
    /// Show settings of the cluster, now or at a moment
    Get(get::Args),
    /// Show who changed settings of the cluster, when, from what to what
    History(history::Args),
    /// Explain every setting of a cluster: unit, bounds, default, why
    Settings(settings::Args),
}

/// What a key is that is no setting, if somebody else knows it: (why, what to do).
pub type Elsewhere = fn(&str) -> Option<(String, String)>;

/// Does one of them; `elsewhere` knows the keys of processes.
pub async fn run(call: &Call, config: Config, elsewhere: Elsewhere) -> Exit {
    call.begin("change");
    let done = match config {
        Config::Set(args) => set::run(call, args, elsewhere).await,
        Config::Unset(args) => unset::run(call, args, elsewhere).await,
        Config::Get(args) => get::run(call, args, elsewhere).await,
        Config::History(args) => history::run(call, args, elsewhere).await,
        Config::Settings(args) => settings::run(call, &args),
    };
    call.close().await;
    call.end(done)
}

fn named(name: &str, elsewhere: Elsewhere) -> Outcome<&'static Setting> {
    if let Some(setting) = by_name(name) {
        return Ok(setting);
    }
    let what = format!("no setting `{name}`");
    if let Some((why, advice)) = elsewhere(name) {
        return Err(Failure::usage(what, why, advice));
    }
    let why = format!("the settings are {}", names());
    let advice = "Look at dfsctl config settings";
    Err(Failure::usage(what, why, advice))
}

/// Settings have no address: `--at` says when.
fn when(call: &Call) -> When {
    call.globals.at.unwrap_or(Moment::Head).when()
}

/// All of them in one record.
async fn change(call: &Call, changes: Vec<(&'static Setting, Option<u64>)>) -> Outcome {
    if !matches!(call.globals.at, None | Some(Moment::Head)) {
        let why = "the past cannot be changed";
        return Err(Failure::usage(
            "cannot change settings",
            why,
            "Leave --at out",
        ));
    }
    let one = |(setting, value): &(&Setting, Option<u64>)| match value {
        Some(value) => format!("{} = {value} {}", setting.name, setting.unit),
        None => format!("{} back to its default", setting.name),
    };
    let did: Vec<String> = changes.iter().map(one).collect();
    let json = changes.iter().map(|(setting, value)| {
        let (name, unit) = (setting.name, setting.unit);
        serde_json::json!({ "name": name, "value": value, "unit": unit })
    });
    let mut fields = serde_json::json!({ "settings": json.collect::<Vec<_>>() });
    let (did, dry_run) = (did.join(", "), call.globals.dry_run);
    if dry_run {
        fields["dry_run"] = true.into();
        let line = format!("would have set {did}");
        return call.output.told("SettingsChanged", 0, fields, b"", &line);
    }
    let fs = call.cluster().await?.fs.with_if_lsn(call.globals.if_lsn);
    let wire = changes.iter().map(|(setting, value)| v1::SettingChanged {
        setting: setting.number as u32,
        value: *value,
    });
    let lsn = fs.set_settings(wire.collect()).await?.lsn;
    let line = format!("set {did}  lsn {lsn}");
    call.output.told("SettingsChanged", lsn, fields, b"", &line)
}
