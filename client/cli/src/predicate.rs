//! What `find` asks of an entry: pure rules over one entry, its path, and now.
use crate::glob;
use crate::mode::parse_octal;
use crate::moment::Moment;
use dfs_fs::{Entry, Kind};
use globset::GlobMatcher;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

const DAY_NS: i64 = 86_400_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;

/// `+N` more than, `-N` less than, `N` exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared<T> {
    More(T),
    Less(T),
    Exactly(T),
}

impl<T: PartialOrd> Compared<T> {
    fn parse(text: &str, number: impl Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        Ok(match text.as_bytes().first() {
            Some(b'+') => Compared::More(number(&text[1..])?),
            Some(b'-') => Compared::Less(number(&text[1..])?),
            _ => Compared::Exactly(number(text)?),
        })
    }

    fn holds(&self, value: &T) -> bool {
        match self {
            Compared::More(than) => value > than,
            Compared::Less(than) => value < than,
            Compared::Exactly(it) => value == it,
        }
    }
}

/// `+1M`, `-10KiB`, `0`: in bytes, nothing is rounded.
pub(crate) fn parse_size(text: &str) -> Result<Compared<u64>, String> {
    Compared::parse(text, crate::figures::parse_bytes)
}

/// `+3`, `-1`, `7`: whole days or minutes of age.
pub(crate) fn parse_age(text: &str) -> Result<Compared<i64>, String> {
    let number = |text: &str| text.parse::<u32>().map(i64::from);
    Compared::parse(text, |text| {
        number(text).map_err(|_| "write +3 (older), -3 (younger) or 3".to_string())
    })
}

/// `644` exactly, `-022` all of these, `/111` any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    Exactly(u32),
    All(u32),
    Any(u32),
}

impl FromStr for Bits {
    type Err = String;

    fn from_str(text: &str) -> Result<Bits, String> {
        match text.as_bytes().first() {
            Some(b'-') => parse_octal(&text[1..]).map(Bits::All),
            Some(b'/') => parse_octal(&text[1..]).map(Bits::Any),
            _ => parse_octal(text).map(Bits::Exactly),
        }
    }
}

impl Bits {
    fn holds(self, mode: u32) -> bool {
        match self {
            Bits::Exactly(bits) => mode == bits,
            Bits::All(bits) => mode & bits == bits,
            // As find has it: of no bits, any are there.
            Bits::Any(bits) => bits == 0 || mode & bits != 0,
        }
    }
}

/// A pattern of names or of paths.
#[derive(Clone, Debug)]
pub(crate) struct Like(GlobMatcher);

impl Like {
    pub(crate) fn parse(text: &str) -> Result<Like, String> {
        glob::matcher(text, false).map(Like)
    }

    pub(crate) fn parse_ignoring_case(text: &str) -> Result<Like, String> {
        glob::matcher(text, true).map(Like)
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        self.0.is_match(OsStr::from_bytes(bytes))
    }
}

/// Newer or older than what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// An mtime in ns.
    Time(i64),
    /// A version: the LSN of the record that made it.
    Lsn(u64),
}

impl Mark {
    /// `None` of `head`, after which there is nothing.
    pub(crate) fn of(moment: Moment, now_us: u64) -> Option<Mark> {
        let ns = |us: u64| i64::try_from(us).unwrap_or(i64::MAX).saturating_mul(1000);
        match moment {
            Moment::Head => None,
            Moment::Lsn(lsn) => Some(Mark::Lsn(lsn)),
            Moment::TimeUs(us) => Some(Mark::Time(ns(us))),
            Moment::AgoUs(us) => Some(Mark::Time(ns(now_us.saturating_sub(us)))),
        }
    }

    fn is_before(self, entry: &Entry) -> bool {
        match self {
            Mark::Time(ns) => entry.mtime_ns > ns,
            Mark::Lsn(lsn) => entry.lsn > lsn,
        }
    }
}

/// All that is asked; what is absent or empty holds of everything, of several in a list one has to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Predicate {
    pub(crate) names: Vec<Like>,
    pub(crate) paths: Vec<Like>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) sizes: Vec<Compared<u64>>,
    pub(crate) days: Option<Compared<i64>>,
    pub(crate) minutes: Option<Compared<i64>>,
    pub(crate) newer: Vec<Mark>,
    pub(crate) older: Vec<Mark>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) bits: Option<Bits>,
    pub(crate) empty: bool,
    /// ns since the epoch, by this machine's clock.
    pub(crate) now_ns: i64,
}

impl Predicate {
    /// `path` as it is printed, with its first `/`.
    pub(crate) fn holds(&self, entry: &Entry, path: &[u8]) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let any = |likes: &[Like], bytes| likes.is_empty() || likes.iter().any(|l| l.holds(bytes));
        let age = |unit: i64| self.now_ns.saturating_sub(entry.mtime_ns).div_euclid(unit);
        any(&self.names, name)
            && any(&self.paths, path)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && self.has_size(entry)
            && self.days.is_none_or(|days| days.holds(&age(DAY_NS)))
            && self
                .minutes
                .is_none_or(|minutes| minutes.holds(&age(MINUTE_NS)))
            && self.newer.iter().all(|mark| mark.is_before(entry))
            && !self.older.iter().any(|mark| mark.is_before(entry))
            && self.uid.is_none_or(|uid| uid == entry.uid)
            && self.gid.is_none_or(|gid| gid == entry.gid)
            && self.bits.is_none_or(|bits| bits.holds(entry.mode))
            && (!self.empty || is_empty(entry))
    }

    /// Only files have a size that a person means; both bounds of a range may be given.
    fn has_size(&self, entry: &Entry) -> bool {
        self.sizes.is_empty()
            || entry.is_file() && self.sizes.iter().all(|size| size.holds(&entry.size))
    }
}

fn is_empty(entry: &Entry) -> bool {
    match entry.kind {
        Kind::File => entry.size == 0,
        Kind::Directory => entry.children == 0,
        Kind::Symlink => false,
    }
}

#[cfg(test)]
#[path = "../tests/unit/predicate.rs"]
mod tests;
