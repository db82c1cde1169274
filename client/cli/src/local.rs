//! Local files as sources and targets: plain paths, `file:…`, and `-` for standard input or output.
use crate::call::{Call, say};
use crate::failure::{Failure, Outcome};
use crate::quote;
use bytes::Bytes;
use dfs_fs::{Code, Refusal, Source};
use futures::stream::{self, StreamExt};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes read at once: large enough that the switch to a blocking thread does not count.
const PART_BYTES: usize = 1 << 20;

/// A local argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// `-`
    Standard,
    Path(PathBuf),
}

impl Local {
    pub(crate) fn parse(argument: &OsStr) -> Local {
        match argument.as_bytes() {
            b"-" => Local::Standard,
            bytes => {
                let bytes = bytes.strip_prefix(b"file:").unwrap_or(bytes);
                Local::Path(OsString::from_vec(bytes.to_vec()).into())
            }
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Local::Standard => "-".into(),
            Local::Path(path) => quote::shown(path.as_os_str().as_bytes()),
        }
    }
}

/// Written with a `/` at the end, or `.`: to go into.
pub(crate) fn is_directory_to_enter(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || bytes == b"." || bytes.ends_with(b"/.") || bytes.ends_with(b"..")
}

/// What is written as `file:…`, and only that.
pub(crate) fn explicit(argument: &OsStr) -> Option<Local> {
    let marked = argument.as_bytes().starts_with(b"file:");
    marked.then(|| Local::parse(argument))
}

/// The nearest time that fits, said aloud where it is another.
pub(crate) fn mtime_ns(path: &Path, metadata: &std::fs::Metadata) -> i64 {
    let ns = metadata.mtime().checked_mul(1_000_000_000);
    let ns = ns.and_then(|ns| ns.checked_add(metadata.mtime_nsec()));
    ns.unwrap_or_else(|| {
        let shown = quote::shown(path.as_os_str().as_bytes());
        say(&format!(
            "warning: the time of {shown} is before 1677 or after 2262: stored with the nearest that fits"
        ));
        if metadata.mtime() < 0 { i64::MIN } else { i64::MAX }
    })
}

/// The last name, also of `.` and `a/..`.
pub(crate) fn name_of(path: &Path) -> Outcome<OsString> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let whole = std::fs::canonicalize(path).map_err(|e| Failure::local("find", path, &e))?;
    whole.file_name().map(OsStr::to_owned).ok_or_else(|| {
        let what = format!("no name for {}", path.display());
        let advice = "Say the new name, without a / at its end";
        Failure::usage(what, "the root has no name", advice)
    })
}

/// The bytes of a file or of standard input, read off the thread that speaks with the cluster.
pub(crate) async fn source(call: &Call, local: &Local) -> Outcome<Source> {
    let reader: Box<dyn Read + Send> = match local {
        Local::Standard => Box::new(call.stdin()?),
        Local::Path(path) => {
            let owned = path.clone();
            let opened = call.env.blocking(move || File::open(owned)).await;
            Box::new(opened.map_err(|e| Failure::local("read", path, &e))?)
        }
    };
    let (env, shown) = (call.env.clone(), local.shown());
    let parts = stream::try_unfold(
        (env, reader, shown),
        |(env, mut reader, shown)| async move {
            let (part, reader) = env
                .blocking(move || (read_part(&mut *reader), reader))
                .await;
            let part = part.map_err(|e| unreadable(&shown, &e))?;
            Ok((!part.is_empty()).then_some((part, (env, reader, shown))))
        },
    );
    Ok(parts.boxed())
}

fn read_part(reader: &mut dyn Read) -> std::io::Result<Bytes> {
    let mut part = Vec::with_capacity(PART_BYTES);
    reader.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part.into())
}

fn unreadable(shown: &str, error: &std::io::Error) -> Refusal {
    let what = format!("cannot read {shown}");
    Refusal::new(Code::Invalid, what, error.to_string())
        .advice("Nothing was written; mend the source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_argument_is_a_path_or_a_stream() {
        let path = |text: &str| Local::Path(text.into());
        assert_eq!(Local::parse(OsStr::new("-")), Local::Standard);
        assert_eq!(Local::parse(OsStr::new("file:-")), path("-"));
        assert_eq!(Local::parse(OsStr::new("file:/a b")), path("/a b"));
        assert_eq!(Local::parse(OsStr::new("./-")), path("./-"));
    }

    #[test]
    fn a_slash_at_the_end_means_into() {
        for into in ["a/", ".", "./", "a/.", "..", "/"] {
            assert!(is_directory_to_enter(Path::new(into)), "{into}");
        }
        for itself in ["a", "./a", ".a", "a/b"] {
            assert!(!is_directory_to_enter(Path::new(itself)), "{itself}");
        }
    }
}
