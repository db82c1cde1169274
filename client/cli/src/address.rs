//! `[profile:][tree:]/path[@when]`: where and when something is, as people type it.
//!
//! Paths are bytes. A literal `@` is written `@@`; the first single `@` begins the moment.
use crate::moment::Moment;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A parsed address. `path` holds names joined by `/`, without a leading or trailing one; the root is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What stands before the path, outermost first: nothing, `name:`, or `profile:tree:`.
    pub prefixes: Vec<String>,
    pub path: Vec<u8>,
    /// Written with a `/` at the end: a directory is meant.
    pub directory: bool,
    pub moment: Option<Moment>,
}

/// Why an argument is no address: what is wrong, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress {
    pub why: String,
    pub advice: &'static str,
}

const FORM: &str = "Write [profile:][tree:]/path[@when], for example /demo/a.txt or /demo@-5m";
const MOMENT: &str =
    "Write @1219 (an LSN), @-5m, @2026-11-19T10:00Z or @head; write @@ for a literal @";
/// A profile and a tree.
const PREFIXES_MAX: usize = 2;

impl Address {
    pub fn parse(argument: &OsStr) -> Result<Address, BadAddress> {
        let bytes = argument.as_bytes();
        let Some(slash) = bytes.iter().position(|b| *b == b'/') else {
            return Err(bad("it has no path: a path begins with /", FORM));
        };
        let prefixes = parse_prefixes(&bytes[..slash])?;
        let (raw, moment) = split_moment(&bytes[slash..])?;
        let directory = raw.ends_with(b"/") || raw.ends_with(b"/.");
        Ok(Address {
            prefixes,
            path: join_names(&raw)?,
            directory,
            moment,
        })
    }

    /// The last name; `None` of the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.path
            .rsplit(|b| *b == b'/')
            .next()
            .filter(|n| !n.is_empty())
    }

    /// The same place in the same tree, one name deeper.
    pub fn join(&self, name: &[u8]) -> Address {
        let mut deeper = self.clone();
        deeper.path = join(&self.path, name);
        deeper.directory = false;
        deeper
    }

    /// As it can be given to a command again, byte for byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for prefix in &self.prefixes {
            bytes.extend_from_slice(prefix.as_bytes());
            bytes.push(b':');
        }
        bytes.extend_from_slice(&escape(&self.path));
        if self.directory && !self.path.is_empty() {
            bytes.push(b'/');
        }
        if let Some(moment) = self.moment {
            bytes.extend_from_slice(format!("@{moment}").as_bytes());
        }
        bytes
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::quote::shown(&self.to_bytes()))
    }
}

/// `/path` with every `@` doubled: the part of an address that says where.
pub fn escape(path: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'/'];
    for byte in path {
        if *byte == b'@' {
            bytes.push(b'@');
        }
        bytes.push(*byte);
    }
    bytes
}

/// `base/name`, or `name` below the root.
pub fn join(base: &[u8], name: &[u8]) -> Vec<u8> {
    match base {
        b"" => name.to_vec(),
        _ => [base, name].join(&b'/'),
    }
}

fn bad(why: impl Into<String>, advice: &'static str) -> BadAddress {
    BadAddress {
        why: why.into(),
        advice,
    }
}

fn parse_prefixes(bytes: &[u8]) -> Result<Vec<String>, BadAddress> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let Some(names) = bytes.strip_suffix(b":") else {
        return Err(bad("a path begins with /", FORM));
    };
    let names: Vec<&[u8]> = names.split(|b| *b == b':').collect();
    if names.len() > PREFIXES_MAX {
        return Err(bad(
            "only a profile and a tree may stand before the path",
            FORM,
        ));
    }
    names.into_iter().map(parse_prefix).collect()
}

fn parse_prefix(name: &[u8]) -> Result<String, BadAddress> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.iter().all(plain) {
        let why = "names of profiles and trees are letters, digits, `-`, `_` and `.`";
        return Err(bad(why, FORM));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The path with `@@` made `@`, and the moment behind the first single `@`.
fn split_moment(bytes: &[u8]) -> Result<(Vec<u8>, Option<Moment>), BadAddress> {
    let mut path = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'@' {
            match after.split_first() {
                Some((b'@', after)) => rest = after,
                _ => return Ok((path, Some(parse_moment(after)?))),
            }
        }
        path.push(*byte);
    }
    Ok((path, None))
}

fn parse_moment(bytes: &[u8]) -> Result<Moment, BadAddress> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| bad("what follows @ is no moment", MOMENT))?;
    if text.is_empty() {
        return Err(bad("nothing follows @", MOMENT));
    }
    text.parse().map_err(|why: String| bad(why, MOMENT))
}

fn join_names(raw: &[u8]) -> Result<Vec<u8>, BadAddress> {
    let names = raw.split(|b| *b == b'/');
    let names: Vec<&[u8]> = names.filter(|n| !n.is_empty() && *n != b".").collect();
    if names.contains(&b"..".as_slice()) {
        let advice = "Name the directory itself: `..` is not resolved here";
        return Err(bad(
            "`..` has no meaning where links are not followed",
            advice,
        ));
    }
    Ok(names.join(&b'/'))
}

#[cfg(test)]
#[path = "../tests/unit/address.rs"]
mod tests;
