//! Patterns in addresses become the addresses that match, all at one LSN, by listing only where it is needed.
use crate::address::{self, Address};
use crate::call::{Call, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::glob::{self, Names, Part, Pattern};
use crate::moment::Moment;
use crate::walk::Listing;
use dfs_fs::Entry;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Arguments that a pattern may become: more belong to `find`, which need not hold them.
const MATCHES_MAX: usize = 100_000;

/// What an argument turned out to be.
enum Expanded {
    Itself,
    Matches(Vec<OsString>),
}

impl Call {
    /// The addresses that the arguments mean: patterns expanded, anything else as it is. A pattern
    /// that matches nothing is told, and the rest goes on (C6).
    pub(crate) async fn meant(&self, arguments: &[OsString]) -> Outcome<Vec<OsString>> {
        Ok(self.several(arguments).await?.0)
    }

    /// The same, and whether they may be more than one. A pattern counts as several, however many
    /// match: where a copy ends must not hang on that.
    pub(crate) async fn several(&self, arguments: &[OsString]) -> Outcome<(Vec<OsString>, bool)> {
        let mut meant = Vec::with_capacity(arguments.len());
        let mut several = arguments.len() > 1;
        for argument in arguments {
            match self.expand(argument).await {
                Ok(Expanded::Itself) => meant.push(argument.clone()),
                Ok(Expanded::Matches(found)) => {
                    several = true;
                    meant.extend(found);
                }
                Err(failure) if arguments.len() == 1 => return Err(failure),
                Err(failure) => self.failed(&failure),
            }
        }
        Ok((meant, several))
    }

    async fn expand(&self, argument: &OsString) -> Outcome<Expanded> {
        let Ok(typed) = Address::parse(argument) else {
            return Ok(Expanded::Itself); // whoever takes it says what is wrong
        };
        if self.globals.literal || !glob::is_pattern(&typed.path) {
            return Ok(Expanded::Itself);
        }
        let place = self.place(argument).await?;
        if exists(&place).await? {
            return Ok(Expanded::Itself);
        }
        if typed
            .path
            .split(|b| *b == b'/')
            .any(glob::class_beyond_ascii)
        {
            let advice = "Write {ä,ö} instead; --literal if it is a name as it stands";
            let what = format!("bad pattern `{typed}`");
            return Err(Failure::usage(what, glob::BEYOND_ASCII, advice));
        }
        // As in a shell: what is no pattern is a name, with all its brackets.
        let Ok(pattern) = Pattern::parse(&typed.path) else {
            return Ok(Expanded::Itself);
        };
        let lsn = place.fs.resolve(place.when).await?.lsn;
        let timed = typed.moment.or(self.globals.at);
        let timed = timed.filter(|moment| *moment != Moment::Head);
        let meant = Address {
            moment: timed.map(|_| Moment::Lsn(lsn)),
            directory: false,
            ..typed.clone()
        };
        let argument = |path| {
            let path = Address {
                path,
                ..meant.clone()
            };
            OsString::from_vec(path.to_bytes())
        };
        if let Some(path) = pattern.literal() {
            return Ok(Expanded::Matches(vec![argument(path)]));
        }
        let found = matches(&place.pinned(lsn), &pattern).await?;
        if found.is_empty() {
            let what = format!("nothing matches {typed}");
            let advice = "Check the pattern and the moment; write \\* where a literal * is meant";
            let why = format!("no entry has such a name at LSN {lsn}");
            return Err(Failure::new(Exit::NotFound, what, why, advice));
        }
        let found = found.into_iter().map(argument).collect();
        Ok(Expanded::Matches(found))
    }
}

/// Whether there is something of exactly this name.
async fn exists(place: &Place) -> Outcome<bool> {
    match place.fs.find(&place.at, place.when).await {
        Ok(found) => Ok(found.is_some()),
        Err(refusal) => absent(refusal.into()).map(|()| false),
    }
}

/// What is not there, or has nothing below it, matches nothing.
fn absent(failure: Failure) -> Outcome {
    match failure.exit {
        Exit::NotFound | Exit::Conflict => Ok(()),
        _ => Err(failure),
    }
}

/// A search: where it is, and how many parts of the pattern are behind it.
type Step = (Vec<u8>, usize);

struct Search<'a> {
    place: &'a Place,
    parts: &'a [Part],
    todo: Vec<Step>,
    found: BTreeSet<Vec<u8>>,
}

/// The paths that match, in the order of their bytes.
async fn matches(place: &Place, pattern: &Pattern) -> Outcome<BTreeSet<Vec<u8>>> {
    let mut search = Search {
        place,
        parts: &pattern.parts,
        todo: vec![(Vec::new(), 0)],
        found: BTreeSet::new(),
    };
    while let Some((path, at)) = search.todo.pop() {
        search.step(path, at).await?;
        if search.found.len() > MATCHES_MAX {
            let what = format!("too many names match {}", place.typed);
            let why = format!("a pattern may stand for {MATCHES_MAX} at most");
            let advice = "Use dfsctl find, which prints them as they come";
            return Err(Failure::usage(what, why, advice));
        }
    }
    Ok(search.found)
}

impl Search<'_> {
    async fn step(&mut self, path: Vec<u8>, at: usize) -> Outcome {
        match self.parts.get(at) {
            // The last part was a name, which nobody has seen yet.
            None => {
                let place = self.place.elsewhere(&path)?;
                match place.fs.find(&place.at, place.when).await {
                    Ok(Some(entry)) => self.take(path, &entry, at),
                    Ok(None) => {}
                    Err(refusal) => absent(refusal.into())?,
                }
                Ok(())
            }
            Some(Part::Name(name)) => {
                self.todo.push((address::join(&path, name), at + 1));
                Ok(())
            }
            Some(Part::Pattern(names)) => self.list(path, at, Some(names)).await,
            Some(Part::AnyDepth) => {
                // None of them, too; at the end of a pattern that would be the directory itself.
                if at + 1 < self.parts.len() {
                    self.todo.push((path.clone(), at + 1));
                }
                self.list(path, at, None).await
            }
        }
    }

    /// Goes on with each name of a directory that matches; all of them for `**`.
    async fn list(&mut self, path: Vec<u8>, at: usize, names: Option<&Names>) -> Outcome {
        let after = names.map(Names::after).unwrap_or_default();
        let mut listing = Listing::new(&self.place.elsewhere(&path)?).after(&after);
        loop {
            let page = match listing.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(()),
                Err(failure) => return absent(failure),
            };
            for entry in &page {
                let below = address::join(&path, &entry.name);
                match names {
                    Some(names) if names.is_past(&entry.name) => return Ok(()),
                    Some(names) if names.matches(&entry.name) => self.take(below, entry, at + 1),
                    Some(_) => {}
                    None => {
                        if at + 1 == self.parts.len() {
                            self.take(below.clone(), entry, at + 1);
                        }
                        if entry.is_directory() {
                            self.todo.push((below, at));
                        }
                    }
                }
            }
            if self.found.len() > MATCHES_MAX {
                return Ok(());
            }
        }
    }

    /// An entry that matches as far as `at`: the end, or a directory to go on in.
    fn take(&mut self, path: Vec<u8>, entry: &Entry, at: usize) {
        if at < self.parts.len() {
            if entry.is_directory() {
                self.todo.push((path, at));
            }
        } else if entry.is_directory() || !self.place.typed.directory {
            self.found.insert(path);
        }
    }
}
