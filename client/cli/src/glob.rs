//! Patterns of paths: `*` and `?` within a name, `[a-z]`, `{a,b}`, `**` for any depth, `\*` for a literal `*`.
//!
//! Names are bytes: `?` and a class stand for one byte, so a class holds only ASCII.
use globset::{GlobBuilder, GlobMatcher};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What one name of a path has to be.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Exactly this name.
    Name(Vec<u8>),
    Pattern(Names),
    /// `**`: directories of any depth, or none.
    AnyDepth,
}

/// Names of one directory that match.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    matcher: GlobMatcher,
    /// What all of them begin with.
    prefix: Vec<u8>,
}

/// A path with patterns in it.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) parts: Vec<Part>,
}

/// Bytes of `ä` on their own would match half of other letters.
pub(crate) const BEYOND_ASCII: &str = "[…] stands for one byte, and what is not ASCII has several";

/// Whether a path may be meant as a pattern.
pub(crate) fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|b| b"*?[{".contains(b))
}

impl Pattern {
    /// Of a path whose names are joined by single `/`.
    pub(crate) fn parse(path: &[u8]) -> Result<Pattern, String> {
        let parts = path.split(|b| *b == b'/').map(parse_part);
        let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
        // `**/**` is `**`.
        parts.dedup_by(|a, b| matches!((a, b), (Part::AnyDepth, Part::AnyDepth)));
        Ok(Pattern { parts })
    }

    /// The path, if every wildcard in it was quoted.
    pub(crate) fn literal(&self) -> Option<Vec<u8>> {
        let names = self.parts.iter().map(|part| match part {
            Part::Name(name) => Some(name.as_slice()),
            Part::Pattern(_) | Part::AnyDepth => None,
        });
        Some(names.collect::<Option<Vec<_>>>()?.join(&b'/'))
    }
}

impl Names {
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.matcher.is_match(OsStr::from_bytes(name))
    }

    /// A name below which, by bytes, there is none of them.
    pub(crate) fn after(&self) -> Vec<u8> {
        const NAME_BYTES_MAX: usize = dfs_wire::limits::NAME_BYTES_MAX;
        let Some((last, before)) = self.prefix.split_last() else {
            return Vec::new();
        };
        let mut after = [before, &[last.saturating_sub(1)]].concat();
        after.resize(NAME_BYTES_MAX.max(after.len()), 0xff);
        after
    }

    /// Whether no name from this one on matches.
    pub(crate) fn is_past(&self, name: &[u8]) -> bool {
        name > self.prefix.as_slice() && !name.starts_with(&self.prefix)
    }
}

/// One pattern for names, or for paths with `/` in them.
pub(crate) fn matcher(pattern: &str, ignore_case: bool) -> Result<GlobMatcher, String> {
    if class_beyond_ascii(pattern.as_bytes()) {
        return Err(format!("{BEYOND_ASCII}: write {{ä,ö}}"));
    }
    let mut builder = GlobBuilder::new(pattern);
    builder.literal_separator(true).backslash_escape(true);
    builder.empty_alternates(true).case_insensitive(ignore_case);
    let built = builder.build().map_err(|e| e.kind().to_string())?;
    Ok(built.compile_matcher())
}

/// Whether a class of the pattern holds anything but ASCII.
pub(crate) fn class_beyond_ascii(pattern: &[u8]) -> bool {
    let mut rest = pattern;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => rest = rest.get(1..).unwrap_or_default(),
            b'[' => {
                // A `]` that comes first is in the class, not its end.
                let first = 1 + usize::from(matches!(rest.first(), Some(b'!' | b'^')));
                let mut behind = rest.iter().skip(first);
                let Some(end) = behind.position(|b| *b == b']') else {
                    return false; // no class
                };
                let (class, after) = rest.split_at(first + end);
                if !class.is_ascii() {
                    return true;
                }
                rest = after.get(1..).unwrap_or_default();
            }
            _ => {}
        }
    }
    false
}

fn parse_part(part: &[u8]) -> Result<Part, String> {
    if part == b"**" {
        return Ok(Part::AnyDepth);
    }
    if !has_wildcard(part) {
        return Ok(Part::Name(unquoted(part)));
    }
    let text = std::str::from_utf8(part).map_err(|_| "a pattern has to be text".to_string())?;
    let found = matcher(text, false).map_err(|why| match part.contains(&b'{') {
        true => format!("{why} (braces hold names, no /)"),
        false => why,
    })?;
    Ok(Part::Pattern(Names {
        matcher: found,
        prefix: prefix(part),
    }))
}

fn has_wildcard(part: &[u8]) -> bool {
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' | b'{' => return true,
            _ => {}
        }
    }
    false
}

/// Up to the first wildcard, quotes taken off.
fn prefix(part: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => prefix.extend(bytes.next()),
            b'*' | b'?' | b'[' | b'{' => break,
            byte => prefix.push(*byte),
        }
    }
    prefix
}

/// A backslash stands before what is meant as it is; the last byte of a name is no quote.
fn unquoted(part: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (b'\\', Some(next)) if b"*?[]{}\\,!-".contains(next) => {
                name.push(*next);
                bytes.next();
            }
            _ => name.push(*byte),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Names {
        match parse_part(pattern.as_bytes()) {
            Ok(Part::Pattern(names)) => names,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_match_as_in_a_shell_and_bytes_need_not_be_text() {
        for (pattern, yes, no) in [
            ("*.txt", "a.txt", "a.txt.gz"),
            ("*", ".hidden", "a/b"),
            ("a?c", "abc", "ac"),
            ("[a-c]x", "bx", "dx"),
            ("[!a-c]x", "dx", "bx"),
            ("{one,two}.rs", "two.rs", "three.rs"),
            ("a\\*b*", "a*bc", "axbc"),
            ("größe*", "größe.txt", "grosse"),
        ] {
            assert!(names(pattern).matches(yes.as_bytes()), "{pattern} {yes}");
            assert!(!names(pattern).matches(no.as_bytes()), "{pattern} {no}");
        }
        assert!(names("a*").matches(b"a\xff\xfe"));
        assert!(!names("a?").matches(b"a\n\n"));
    }

    #[test]
    fn only_what_can_match_is_listed() {
        let some = names("ab*");
        assert!(some.after().as_slice() < b"ab".as_slice());
        assert!(some.after().as_slice() > b"aa".as_slice());
        assert!(!some.is_past(b"a") && !some.is_past(b"ab") && !some.is_past(b"abz"));
        assert!(some.is_past(b"ac"));
        assert!(names("*b").after().is_empty() && !names("*b").is_past(b"zzz"));
        assert_eq!(names("\\[a\\]*").prefix, b"[a]");
    }

    #[test]
    fn a_quoted_pattern_is_a_name() {
        let literal = |text: &str| Pattern::parse(text.as_bytes()).expect(text).literal();
        assert_eq!(literal("d/a\\*b"), Some(b"d/a*b".to_vec()));
        assert_eq!(literal("d/a\\b\\"), Some(b"d/a\\b\\".to_vec()));
        assert_eq!(literal("d/*"), None);
        assert_eq!(literal("**/a"), None);
    }

    #[test]
    fn a_class_holds_no_half_letters() {
        for bad in ["[ä]*", "a[!ö]", "[]ä]", "[^]ä]", "\\[[ä]", "[a][ß]"] {
            assert!(class_beyond_ascii(bad.as_bytes()), "{bad}");
            assert!(matcher(bad, false).is_err(), "{bad}");
        }
        for good in ["ä[a-z]", "{ä,ö}*", "\\[ä]", "[a]ä]", "[ä", "[!]a]ä", "ä*?"] {
            assert!(!class_beyond_ascii(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_apart() {
        for bad in ["a[", "{a", "{a/b}*"] {
            assert!(Pattern::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let any = Pattern::parse(b"**/**/a*").expect("a pattern");
        assert_eq!(any.parts.len(), 2);
    }
}
