//! `--exclude` and `--include`: which entries of a tree count.
use crate::glob;
use dfs_fs::compare::Keep;
use globset::GlobMatcher;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// A pattern of names at any depth; with a `/` in it, of paths from the root of the tree; with a `/` at its
/// end, of directories.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    matcher: GlobMatcher,
    anchored: bool,
    directories: bool,
}

impl Rule {
    pub(crate) fn parse(text: &str) -> Result<Rule, String> {
        let (text, directories) = match text.strip_suffix('/') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let anchored = text.contains('/');
        let pattern = text.strip_prefix('/').unwrap_or(text);
        if pattern.is_empty() {
            return Err("write a name, a pattern such as *.o, or a path such as /target/".into());
        }
        Ok(Rule {
            matcher: glob::matcher(pattern, false)?,
            anchored,
            directories,
        })
    }

    fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let what = if self.anchored { path } else { name };
        (is_directory || !self.directories) && self.matcher.is_match(OsStr::from_bytes(what))
    }
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Filter {
    /// Leave out what matches, with all below it: *.o by name, /a/*.o from the root, target/ directories
    #[arg(long, value_name = "PATTERN", value_parser = Rule::parse)]
    exclude: Vec<Rule>,
    /// Take it although an --exclude matches; without any --exclude: take no other files
    #[arg(long, value_name = "PATTERN", value_parser = Rule::parse)]
    include: Vec<Rule>,
}

impl Filter {
    /// `None`: everything counts.
    pub(crate) fn keep(&self) -> Option<Keep> {
        if self.exclude.is_empty() && self.include.is_empty() {
            return None;
        }
        let filter = self.clone();
        Some(Keep(Arc::new(move |path, is_directory| {
            filter.keeps(path, is_directory)
        })))
    }

    fn keeps(&self, path: &[u8], is_directory: bool) -> bool {
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(path, is_directory));
        match any(&self.include) {
            true => true,
            false if self.exclude.is_empty() => is_directory,
            false => !any(&self.exclude),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(exclude: &[&str], include: &[&str], path: &str) -> bool {
        let rules = |texts: &[&str]| {
            let rules = texts.iter().map(|text| Rule::parse(text).expect(text));
            rules.collect()
        };
        let filter = Filter {
            exclude: rules(exclude),
            include: rules(include),
        };
        let is_directory = path.ends_with('/');
        filter.keeps(path.trim_end_matches('/').as_bytes(), is_directory)
    }

    #[test]
    fn names_match_anywhere_and_paths_from_the_root() {
        assert!(!keeps(&["*.o"], &[], "a/b.o") && keeps(&["*.o"], &[], "a/b.c"));
        assert!(!keeps(&["/a/*.o"], &[], "a/b.o") && keeps(&["/a/*.o"], &[], "x/a/b.o"));
        assert!(!keeps(&["target/"], &[], "x/target/") && keeps(&["target/"], &[], "x/target"));
        assert!(!keeps(&["**/deep/*"], &[], "x/deep/f"));
    }

    #[test]
    fn an_include_is_an_exception_or_alone_a_choice() {
        assert!(keeps(&["*.o"], &["keep.o"], "a/keep.o"));
        assert!(keeps(&[], &["*.rs"], "a/b.rs") && !keeps(&[], &["*.rs"], "a/b.o"));
        assert!(keeps(&[], &["*.rs"], "a/"), "directories are walked");
        assert!(Rule::parse("/").is_err() && Rule::parse("a[").is_err());
    }
}
