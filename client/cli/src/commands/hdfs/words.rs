//! Options and paths of one command of HDFS: options come first, one letter or a word each.
use super::{Complaint, Told};
use std::ffi::OsString;

/// What follows the name of a command.
pub(super) struct Words {
    words: Vec<OsString>,
}

impl Words {
    pub(super) fn new(words: Vec<OsString>) -> Words {
        Words { words }
    }

    /// Takes the options from the front. `known` are those that may be there: `R` also as part of `-Rh`.
    pub(super) fn options(&mut self, known: &[&str]) -> Told<Vec<String>> {
        let mut found = Vec::new();
        while let Some(option) = self.next_option() {
            self.words.remove(0);
            if option == "-" {
                break;
            }
            if known.contains(&option.as_str()) {
                found.push(option);
                continue;
            }
            for letter in option.chars() {
                let letter = letter.to_string();
                if !known.contains(&letter.as_str()) {
                    return Err(Complaint::usage(format!("Illegal option -{option}")));
                }
                found.push(letter);
            }
        }
        Ok(found)
    }

    /// Without its first dash; `-` alone is standard input.
    fn next_option(&self) -> Option<String> {
        let word = self.words.first()?.to_str()?;
        let option = word.strip_prefix('-').filter(|option| !option.is_empty())?;
        Some(option.to_string())
    }

    /// The first word, as an argument that is no path.
    pub(super) fn argument(&mut self) -> Told<String> {
        match self.words.is_empty() {
            true => Err(not_enough()),
            false => Ok(self.words.remove(0).to_string_lossy().into_owned()),
        }
    }

    pub(super) fn first_is(&self, test: impl Fn(&str) -> bool) -> bool {
        let first = self.words.first().and_then(|word| word.to_str());
        first.is_some_and(test)
    }

    /// At least one.
    pub(super) fn paths(self) -> Told<Vec<OsString>> {
        match self.words.is_empty() {
            true => Err(not_enough()),
            false => Ok(self.words),
        }
    }

    /// At least one, and the last.
    pub(super) fn paths_and_target(self) -> Told<(Vec<OsString>, OsString)> {
        let mut words = self.words;
        match words.pop() {
            Some(target) if !words.is_empty() => Ok((words, target)),
            _ => Err(not_enough()),
        }
    }
}

pub(super) fn not_enough() -> Complaint {
    Complaint::usage("Not enough arguments".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Words {
        Words::new(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_stand_alone_or_together_and_end_at_the_first_path() {
        let mut ls = words("-R -h /a -h");
        assert_eq!(
            ls.options(&["R", "h"]).ok(),
            Some(vec!["R".into(), "h".into()])
        );
        assert_eq!(ls.paths().ok().map(|paths| paths.len()), Some(2));
        let mut rm = words("-rf -skipTrash /a");
        let found = rm.options(&["r", "f", "skipTrash"]).ok().expect("known");
        assert_eq!(found, ["r", "f", "skipTrash"]);
        assert!(words("-q /a").options(&["R"]).is_err());
        let mut append = words("- /a");
        assert_eq!(append.options(&[]).ok(), Some(Vec::new()));
        assert!(append.paths_and_target().is_ok());
        assert!(words("").paths().is_err() && words("a").paths_and_target().is_err());
    }
}
