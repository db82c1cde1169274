//! `dfsctl hdfs dfs -ls …`: the file system shell of HDFS, with the output and exit codes that scripts rely on.
//!
//! One family of commands, one file below `hdfs/`; here their names, paths, and how they complain.
mod contents;
mod list;
mod look;
mod names;
mod summary;
mod words;

use crate::address;
use crate::call::{Call, Place, say};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::quote;
use dfs_fs::{Code, Refusal};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use words::Words;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Paths are those of HDFS: /a/b, hdfs://host:port/a/b, or relative to /user/NAME; an @ is an @ (for another
moment: dfsctl --at -1h hdfs dfs …). Exit code 0: done; 1: not all of it; 255: no such command. Times are
UTC. What is removed stays readable at earlier moments: there is no trash. Without -f no
directory is put, got or copied onto what is there.

-appendToFile -cat -checksum -chgrp -chmod -chown -copyFromLocal -copyToLocal -count -cp -df -du -get
-getmerge -head -ls -lsr -mkdir -moveFromLocal -mv -put -rm -rmdir -rmr -stat -tail -test -text -touch
-touchz -truncate

Examples:
  dfsctl hdfs dfs -ls /demo
  dfsctl hdfs dfs -put -f a.txt /demo
  dfsctl hdfs dfs -test -d /demo && echo a directory"
)]
pub struct Args {
    /// dfs, and the command with its options and paths
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_names = ["dfs", "COMMAND"]
    )]
    words: Vec<OsString>,
}

/// One line on standard error: what is behind the name of the command.
struct Complaint {
    /// Nothing: nobody reads any more.
    line: String,
    /// The command line itself is wrong.
    usage: bool,
    /// There is no such file.
    absent: bool,
}

impl Complaint {
    fn of(line: String) -> Complaint {
        Complaint {
            line,
            usage: false,
            absent: false,
        }
    }

    fn usage(line: String) -> Complaint {
        Complaint {
            usage: true,
            ..Complaint::of(line)
        }
    }

    fn absent(shown: &str) -> Complaint {
        Complaint {
            absent: true,
            ..Complaint::of(format!("`{shown}': No such file or directory"))
        }
    }

    fn exists(shown: &str) -> Complaint {
        Complaint::of(format!("`{shown}': File exists"))
    }
}

type Told<T = ()> = Result<T, Complaint>;

impl From<Failure> for Complaint {
    fn from(failure: Failure) -> Complaint {
        match failure.silent {
            true => Complaint::of(String::new()),
            false => Complaint::of(format!("{}: {}", failure.what, failure.why)),
        }
    }
}

/// A refusal about a path, in the words of HDFS.
fn complaint(path: &str, refusal: &Refusal) -> Complaint {
    let said = refusal.get();
    let why = match refusal.code() {
        Code::NotFound => "No such file or directory",
        Code::Exists => "File exists",
        Code::NotEmpty => "Directory is not empty",
        Code::Denied => "Permission denied",
        Code::WrongKind if said.why.contains("not a directory") => "Is not a directory",
        Code::WrongKind if said.why.contains("is a directory") => "Is a directory",
        _ => &said.why,
    };
    Complaint::of(format!("`{path}': {why}"))
}

/// A path as it was given, and where it is.
struct Path {
    /// As HDFS would print it.
    shown: String,
    place: Place,
}

impl Path {
    fn refused(&self) -> impl Fn(Refusal) -> Complaint + '_ {
        |refusal| complaint(&self.shown, &refusal)
    }

    async fn stat(&self) -> Told<dfs_fs::Seen<dfs_fs::Entry>> {
        let seen = self.place.fs.stat(&self.place.at, self.place.when).await;
        seen.map_err(self.refused())
    }

    async fn find(&self) -> Told<Option<dfs_fs::Entry>> {
        let found = self.place.fs.find(&self.place.at, self.place.when).await;
        Ok(found.map_err(self.refused())?.map(|seen| seen.value))
    }

    fn join(&self, name: &[u8]) -> Told<Path> {
        let place = self.place.join(name)?;
        let shown = format!(
            "{}/{}",
            self.shown.trim_end_matches('/'),
            quote::shown(name)
        );
        Ok(Path { shown, place })
    }
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let mut words = args.words.into_iter();
    let (first, command) = (words.next(), words.next());
    let command = command.map(|command| command.to_string_lossy().into_owned());
    match (first.as_ref().and_then(|word| word.to_str()), command) {
        (Some("dfs"), Some(command)) => {
            let name = command.trim_start_matches('-').to_string();
            let done = dispatch(call, &name, Words::new(words.collect())).await;
            if let Err(told) = done {
                complain(call, &name, &told);
            }
            Ok(())
        }
        _ => {
            let what = "cannot tell what is meant";
            let advice = "Write dfsctl hdfs dfs -ls /demo; see dfsctl hdfs --help";
            Err(Failure::usage(
                what,
                "only `hdfs dfs -COMMAND` is known",
                advice,
            ))
        }
    }
}

fn complain(call: &Call, name: &str, told: &Complaint) {
    if told.line.is_empty() {
        return;
    }
    let line = quote::one_line(&told.line);
    match told.usage {
        true => say(&format!("-{name}: {line}")),
        false => say(&format!("{name}: {line}")),
    }
    call.tell_id();
    call.verdict(if told.usage {
        Exit::HdfsUsage
    } else {
        Exit::Other
    });
}

async fn dispatch(call: &Call, name: &str, words: Words) -> Told {
    match name {
        "ls" | "lsr" => list::ls(call, name, words).await,
        "du" | "dus" => summary::du(call, name, words).await,
        "count" => summary::count(call, words).await,
        "df" => summary::df(call, words).await,
        "stat" => look::stat(call, words).await,
        "test" => look::test(call, words).await,
        "checksum" => look::checksum(call, words).await,
        "cat" | "text" => contents::cat(call, name, words).await,
        "head" | "tail" => contents::end(call, name, words).await,
        "put" | "copyFromLocal" | "moveFromLocal" => contents::put(call, name, words).await,
        "get" | "copyToLocal" => contents::get(call, name, words).await,
        "getmerge" => contents::getmerge(call, words).await,
        "appendToFile" => contents::append(call, words).await,
        "mkdir" => names::mkdir(call, words).await,
        "rm" | "rmr" => names::rm(call, name, words).await,
        "rmdir" => names::rmdir(call, words).await,
        "mv" => names::mv(call, words).await,
        "cp" => names::cp(call, words).await,
        "touchz" | "touch" => names::touch(call, name, words).await,
        "truncate" => names::truncate(call, words).await,
        "chmod" | "chown" | "chgrp" => names::change(call, name, words).await,
        _ => Err(Complaint::usage("Unknown command".into())),
    }
}

impl Call {
    /// Where a path of HDFS is; patterns are none.
    async fn hdfs_path(&self, word: &OsString) -> Told<Path> {
        let (path, shown) = path_of(word.as_bytes());
        let place = self.place(OsString::from_vec(path)).await?;
        Ok(Path { shown, place })
    }

    /// The paths that a word means, in the order of their names; complains if there is none.
    async fn hdfs_paths(&self, word: &OsString) -> Told<Vec<Path>> {
        let (path, shown) = path_of(word.as_bytes());
        let argument = OsString::from_vec(path);
        // A cluster or a profile that is not found is no file that is missing.
        self.place(&argument).await?;
        let meant = self.meant(std::slice::from_ref(&argument)).await;
        let meant = match meant {
            Err(failure) if failure.exit == Exit::NotFound => {
                return Err(Complaint::absent(&shown));
            }
            meant => meant?,
        };
        let mut paths = Vec::with_capacity(meant.len());
        for found in meant {
            let place = self.place(&found).await?;
            let shown = match found == argument {
                true => shown.clone(),
                false => quote::shown(&[b"/", place.at.path()].concat()),
            };
            paths.push(Path { shown, place });
        }
        Ok(paths)
    }

    /// Does `one` to everything that the words mean; what fails is told, and the rest goes on.
    async fn hdfs_each<F: Future<Output = Told>>(
        &self,
        name: &str,
        words: &[OsString],
        one: impl Fn(Path) -> F,
    ) -> Told {
        for word in words {
            let paths = match self.hdfs_paths(word).await {
                Ok(paths) => paths,
                Err(told) => {
                    complain(self, name, &told);
                    continue;
                }
            };
            for path in paths {
                if let Err(told) = one(path).await {
                    complain(self, name, &told);
                }
            }
        }
        Ok(())
    }

    fn hdfs_line(&self, line: &str) -> Told {
        Ok(self.output.raw(format!("{line}\n").as_bytes())?)
    }
}

/// The address of a path, and the path as HDFS prints it.
fn path_of(word: &[u8]) -> (Vec<u8>, String) {
    let path = match word.strip_prefix(b"hdfs://") {
        Some(rest) => match rest.iter().position(|b| *b == b'/') {
            Some(slash) => rest[slash..].to_vec(),
            None => b"/".to_vec(),
        },
        None if word.starts_with(b"/") => word.to_vec(),
        None => {
            let user = std::env::var_os("USER").unwrap_or_else(|| "dfsctl".into());
            [b"/user/", user.as_bytes(), b"/", word].concat()
        }
    };
    let address = address::escape(&path)[1..].to_vec();
    (address, quote::shown(word))
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn paths_of_hdfs_become_addresses() {
        let address = |word: &str| String::from_utf8(path_of(word.as_bytes()).0).expect("text");
        assert_eq!(address("/a/b"), "/a/b");
        assert_eq!(address("hdfs://nn:8020/a"), "/a");
        assert_eq!(address("hdfs://nn"), "/");
        assert_eq!(address("/a/user@host"), "/a/user@@host");
        assert!(address("x").starts_with("/user/"));
    }
}
