//! The commands: one file each; here what they are called.
mod append;
mod cat;
mod checksum;
mod chmod;
mod chown;
pub(crate) mod config;
mod connect;
mod cp;
mod df;
mod diff;
mod doctor;
mod du;
mod find;
mod get;
mod getfacl;
mod hdfs;
mod head;
mod ln;
mod log;
mod log_snapshot;
mod ls;
mod mkdir;
mod mv;
mod node;
mod profile;
mod put;
mod rm;
mod setfacl;
mod stat;
mod status;
mod sync;
mod tail;
mod test;
mod top;
mod touch;
mod tree;
mod truncate;
mod verify;
mod version;
mod why;
mod xattr;

use crate::call::Call;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::trace;
use clap::Subcommand;
use dfs_rpc::trace::{Span, Who};

/// Every command that speaks with a cluster or keeps where clusters are.
#[derive(Subcommand, Debug)]
#[non_exhaustive]
pub enum Command {
    /// List directories
    Ls(ls::Args),
    /// Copy by reference, also from the past
    Cp(cp::Args),
    /// Move or rename
    Mv(mv::Args),
    /// Remove files and directories
    Rm(rm::Args),
    /// Make directories
    Mkdir(mkdir::Args),
    /// Put local files and directories
    #[command(visible_alias = "upload")]
    Put(put::Args),
    /// Get files and directories
    #[command(visible_alias = "download")]
    Get(get::Args),
    /// Show contents
    Cat(cat::Args),
    /// Show the beginning of files
    Head(head::Args),
    /// Show the end of files
    Tail(tail::Args),
    /// Append to a file
    Append(append::Args),
    /// Shorten files, or lengthen them by zeros
    Truncate(truncate::Args),
    /// Show everything known of an entry
    Stat(stat::Args),
    /// Show in what two trees differ
    Diff(diff::Args),
    /// Make one tree like another
    Sync(sync::Args),
    /// Find entries by name, size, time and more
    Find(find::Args),
    /// Show directories as a picture
    Tree(tree::Args),
    /// Sum up sizes
    Du(du::Args),
    /// Show checksums
    Checksum(checksum::Args),
    /// Ask what a path is, by exit code
    Test(test::Args),
    /// Change permission bits
    Chmod(chmod::Args),
    /// Change owner and group
    Chown(chown::Args),
    /// Change ACLs
    Setfacl(setfacl::Args),
    /// Show ACLs
    Getfacl(getfacl::Args),
    /// Extended attributes
    #[command(subcommand)]
    Xattr(xattr::Args),
    /// Make links, more names for a file or symbolic ones
    Ln(ln::Args),
    /// Make empty files, set times
    Touch(touch::Args),
    /// Show how much room there is
    Df(df::Args),
    /// The file system shell of HDFS, for its scripts
    Hdfs(hdfs::Args),
    /// Read the log
    #[command(subcommand)]
    Log(log::Args),
    /// Check what is kept against the log
    #[command(subcommand)]
    Verify(verify::Args),
    /// Manage what the cluster is made of
    #[command(subcommand)]
    Node(node::Args),
    /// Show the state of the cluster
    Status(status::Args),
    /// Show what each member does, per second
    Top(top::Args),
    /// Look for what commonly goes wrong, and say what to do
    Doctor(doctor::Args),
    /// Tell what a request, a record or a path waits for, or where its time went
    Why(why::Args),
    /// Manage where clusters are
    #[command(subcommand)]
    Profile(profile::Args),
    /// Find a cluster and remember it
    Connect(connect::Args),
    /// Show versions
    Version(version::Args),
}

impl Command {
    /// Whether it moves enough bytes to be worth more than one thread.
    pub fn is_bulk(&self) -> bool {
        matches!(
            self,
            Command::Put(_) | Command::Get(_) | Command::Sync(_) | Command::Diff(_)
        )
    }

    /// Whether it writes files on this machine that are not whole until they are renamed.
    pub fn leaves_files(&self) -> bool {
        matches!(self, Command::Get(_) | Command::Sync(_))
    }

    /// Whether it only shows: interrupting it leaves nothing half done.
    pub fn only_shows(&self) -> bool {
        matches!(
            self,
            Command::Status(_) | Command::Top(_) | Command::Doctor(_)
        )
    }

    /// What is said behind `cannot`.
    fn verb(&self) -> &'static str {
        match self {
            Command::Ls(_) | Command::Tree(_) | Command::Find(_) => "list",
            Command::Cp(_) => "copy",
            Command::Mv(_) => "move",
            Command::Rm(_) => "remove",
            Command::Mkdir(_) => "make",
            Command::Ln(_) => "link",
            Command::Diff(_) => "compare",
            Command::Sync(_) => "sync",
            Command::Put(_) => "put",
            Command::Get(_) => "get",
            Command::Append(_) => "append to",
            Command::Truncate(_) => "truncate",
            Command::Du(_) | Command::Checksum(_) => "sum up",
            Command::Chmod(_)
            | Command::Chown(_)
            | Command::Setfacl(_)
            | Command::Xattr(_)
            | Command::Touch(_) => "change",
            Command::Cat(_) | Command::Head(_) | Command::Tail(_) => "read",
            Command::Stat(_) | Command::Getfacl(_) => "look at",
            Command::Test(_) | Command::Why(_) => "look at",
            Command::Log(_) | Command::Verify(_) | Command::Status(_) | Command::Df(_) => "read",
            Command::Top(_) | Command::Doctor(_) => "look at",
            Command::Hdfs(_)
            | Command::Node(_)
            | Command::Profile(_)
            | Command::Connect(_)
            | Command::Version(_) => "do",
        }
    }
}

/// `--if-lsn` where it cannot mean one entry; what only the arguments can tell is refused by each verb.
fn check(call: &Call, command: &Command) -> Outcome {
    match command {
        Command::Sync(_) => call.one_record("sync changes whatever differs"),
        Command::Hdfs(_) => call.one_record("HDFS has no versions"),
        _ => Ok(()),
    }
}

/// Does one command; the exit code is all that is left to say.
pub async fn run(call: &Call, command: Command) -> Exit {
    let began = call.env.now();
    let span = Span::root(&call.env, call.trace_id, "cli.command", Who::CLI);
    let span = span.with("command", command.verb());
    let exit = Box::pin(span.run(done(call, command))).await;
    drop(span);
    trace::leave(call, exit, began).await;
    exit
}

async fn done(call: &Call, command: Command) -> Exit {
    call.begin(command.verb());
    if let Err(failure) = check(call, &command) {
        return call.end(Err(failure));
    }
    // Boxed: a future of all commands together would be as large as the largest.
    let done = match command {
        Command::Ls(args) => Box::pin(ls::run(call, args)).await,
        Command::Cp(args) => Box::pin(cp::run(call, args)).await,
        Command::Mv(args) => Box::pin(mv::run(call, args)).await,
        Command::Rm(args) => Box::pin(rm::run(call, args)).await,
        Command::Mkdir(args) => Box::pin(mkdir::run(call, args)).await,
        Command::Put(args) => Box::pin(put::run(call, args)).await,
        Command::Get(args) => Box::pin(get::run(call, args)).await,
        Command::Cat(args) => Box::pin(cat::run(call, args)).await,
        Command::Head(args) => Box::pin(head::run(call, args)).await,
        Command::Tail(args) => Box::pin(tail::run(call, args)).await,
        Command::Append(args) => Box::pin(append::run(call, args)).await,
        Command::Truncate(args) => Box::pin(truncate::run(call, args)).await,
        Command::Stat(args) => Box::pin(stat::run(call, args)).await,
        Command::Diff(args) => Box::pin(diff::run(call, args)).await,
        Command::Sync(args) => Box::pin(sync::run(call, args)).await,
        Command::Hdfs(args) => Box::pin(hdfs::run(call, args)).await,
        Command::Find(args) => Box::pin(find::run(call, args)).await,
        Command::Tree(args) => Box::pin(tree::run(call, args)).await,
        Command::Du(args) => Box::pin(du::run(call, args)).await,
        Command::Checksum(args) => Box::pin(checksum::run(call, args)).await,
        Command::Test(args) => Box::pin(test::run(call, args)).await,
        Command::Chmod(args) => Box::pin(chmod::run(call, args)).await,
        Command::Chown(args) => Box::pin(chown::run(call, args)).await,
        Command::Setfacl(args) => Box::pin(setfacl::run(call, args)).await,
        Command::Getfacl(args) => Box::pin(getfacl::run(call, args)).await,
        Command::Xattr(args) => Box::pin(xattr::run(call, args)).await,
        Command::Ln(args) => Box::pin(ln::run(call, args)).await,
        Command::Touch(args) => Box::pin(touch::run(call, args)).await,
        Command::Df(args) => Box::pin(df::run(call, args)).await,
        Command::Log(args) => Box::pin(log::run(call, args)).await,
        Command::Verify(args) => Box::pin(verify::run(call, args)).await,
        Command::Status(args) => Box::pin(status::run(call, args)).await,
        Command::Top(args) => Box::pin(top::run(call, args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(call, args)).await,
        Command::Why(args) => Box::pin(why::run(call, args)).await,
        Command::Node(args) => Box::pin(node::run(call, args)).await,
        Command::Profile(args) => Box::pin(profile::run(call, args)).await,
        Command::Connect(args) => Box::pin(connect::run(call, args)).await,
        Command::Version(_) => version::run(call),
    };
    call.close().await;
    call.end(done)
}
