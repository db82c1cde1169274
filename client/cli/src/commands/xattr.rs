//! `dfsctl xattr list|get|set|remove`: extended attributes of an entry.
use crate::address;
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::quote;
use crate::wrote::Wrote;
use clap::Subcommand;
use dfs_fs::{Seen, v1};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

const BOUNDS: &str = "Names begin with user. and have at most 255 bytes; names and values of one entry at most 64 KiB.
They belong to the file, whatever its names; rm of the last name ends them, mv and cp keep them, put and get
do not carry them.";

#[derive(Subcommand, Debug)]
#[command(after_help = BOUNDS)]
pub enum Args {
    /// List names and sizes
    List(List),
    /// Print a value
    Get(Get),
    /// Set attributes, all in one record
    Set(Set),
    /// Remove attributes, all in one record
    Remove(Remove),
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl xattr list /demo/a.txt\n  dfsctl xattr list /demo/a.txt@-1h -o json"
)]
pub struct List {
    #[arg(value_name = "ADDRESS")]
    path: OsString,
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "The value goes out byte for byte.\n\nExamples:\n  dfsctl xattr get /demo/a.txt user.origin\n  dfsctl xattr get /demo/a.txt@-1h user.origin > value"
)]
pub struct Get {
    #[arg(value_name = "ADDRESS")]
    path: OsString,
    #[arg(value_name = "NAME")]
    name: OsString,
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  dfsctl xattr set /demo/a.txt user.origin=camera user.rating=5\n  dfsctl xattr set --if-lsn 1219 /demo/a.txt user.rating=4"
)]
pub struct Set {
    #[arg(value_name = "ADDRESS")]
    path: OsString,
    #[arg(required = true, value_name = "NAME=VALUE")]
    pairs: Vec<OsString>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  dfsctl xattr remove /demo/a.txt user.rating")]
pub struct Remove {
    #[arg(value_name = "ADDRESS")]
    path: OsString,
    #[arg(required = true, value_name = "NAME")]
    names: Vec<OsString>,
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    match args {
        Args::List(args) => list(call, &args).await,
        Args::Get(args) => get(call, &args).await,
        Args::Set(args) => set(call, args).await,
        Args::Remove(args) => remove(call, args).await,
    }
}

async fn read(call: &Call, path: &OsStr) -> Outcome<(Place, Seen<dfs_fs::Entry>)> {
    let place = call.place(path).await?;
    let seen = place.fs.stat_with_xattrs(&place.at, place.when).await?;
    Ok((place, seen))
}

async fn list(call: &Call, args: &List) -> Outcome {
    let (place, seen) = read(call, &args.path).await?;
    let one = |xattr: &v1::Xattr| {
        let mut object = json!({ "bytes": xattr.value.len() });
        json::put_bytes(&mut object, "name", &xattr.name);
        json::put_bytes(&mut object, "value", &xattr.value);
        object
    };
    let mut fields = json::at_path(place.at.path());
    fields["xattrs"] = seen.xattrs.iter().map(one).collect::<Vec<_>>().into();
    let line = |xattr: &v1::Xattr| {
        let name = quote::shown(&xattr.name);
        format!("{name}={}", quote::shown(&xattr.value))
    };
    let lines: Vec<String> = seen.xattrs.iter().map(line).collect();
    let name = address::escape(place.at.path());
    if lines.is_empty() && !call.output.is_json() {
        return Ok(());
    }
    call.output
        .data("Xattrs", seen.lsn, fields, &name, &lines.join("\n"))
}

async fn get(call: &Call, args: &Get) -> Outcome {
    let (place, seen) = read(call, &args.path).await?;
    let wanted = args.name.as_bytes();
    let Some(xattr) = seen.xattrs.iter().find(|xattr| xattr.name == wanted) else {
        let what = format!("{} has no attribute {}", place.typed, quote::shown(wanted));
        let why = match seen.xattrs.len() {
            0 => "it has none at all".to_string(),
            n => format!("it has {n} others"),
        };
        let advice = "Look at dfsctl xattr list";
        return Err(Failure::new(Exit::NotFound, what, why, advice));
    };
    call.output.raw(&xattr.value)
}

async fn set(call: &Call, args: Set) -> Outcome {
    let mut set = Vec::new();
    for pair in args.pairs {
        let pair = pair.into_vec();
        let Some(at) = pair.iter().position(|byte| *byte == b'=') else {
            let what = format!("no value in `{}`", quote::shown(&pair));
            return Err(Failure::usage(
                what,
                "NAME=VALUE is expected",
                "Write user.NAME=VALUE",
            ));
        };
        set.push(v1::Xattr {
            name: pair[..at].to_vec().into(),
            value: pair[at + 1..].to_vec().into(),
        });
    }
    change(call, &args.path, set, Vec::new()).await
}

async fn remove(call: &Call, args: Remove) -> Outcome {
    let names = args.names.into_iter().map(|name| name.into_vec().into());
    change(call, &args.path, Vec::new(), names.collect()).await
}

async fn change(
    call: &Call,
    path: &OsStr,
    set: Vec<v1::Xattr>,
    remove: Vec<bytes::Bytes>,
) -> Outcome {
    let place = call.target(path).await?;
    let names: Vec<String> = set
        .iter()
        .map(|xattr| quote::shown(&xattr.name))
        .chain(remove.iter().map(|name| quote::shown(name)))
        .collect();
    let did = if remove.is_empty() { "set" } else { "removed" };
    let lsn = match call.globals.dry_run {
        true => 0,
        false => place.fs.set_xattrs(&place.at, set, remove).await?.lsn,
    };
    call.wrote(Wrote {
        kind: "XattrSet",
        did: &format!("{did} attributes of"),
        place: &place,
        more: format!("  {}", names.join(" ")),
        fields: json!({ "names": names }),
        lsn,
    })
}
