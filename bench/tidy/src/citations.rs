//! A rule that is cited exists: `LOG-…` in client/log/LOG.md, `FOLD-…` in materializer/FOLD.md.

use std::collections::BTreeSet;

use crate::{Fault, Tree};

/// How a rule is cited, and where it stands.
const DOCUMENTS: [(&str, &str); 2] = [
    ("LOG-", "client/log/LOG.md"),
    ("FOLD-", "materializer/FOLD.md"),
];

pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (prefix, path) in DOCUMENTS {
        let Some(document) = tree.file(path) else {
            faults.push(Fault::new(
                path,
                1,
                format!("is missing: it holds the rules cited as `{prefix}…`"),
            ));
            continue;
        };
        let rules = rules(&document.text);
        for file in tree
            .files
            .iter()
            .filter(|file| matches!(file.extension(), "rs" | "proto" | "md"))
        {
            for (line, id) in cited(&file.text, prefix) {
                if !rules.contains(&id) {
                    let what = format!(
                        "`{prefix}{id}` is not in {path}: cite the rule you mean, or write it"
                    );
                    faults.push(Fault::new(&file.path, line, what));
                }
            }
        }
    }
    faults
}

/// The ids a document gives: each opens a list item (`- U7b Each unit…`), or stands in the section of
/// invariants (`I1 (lane, idx)… I2 …`).
fn rules(document: &str) -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    let mut in_invariants = false;
    for line in document.lines() {
        if line.starts_with('#') {
            in_invariants = line.contains("Invariants");
        }
        let item = line.strip_prefix("- ").and_then(leading_id);
        rules.extend(item.map(str::to_owned));
        if in_invariants {
            let ids = line.split_whitespace().filter_map(leading_id);
            rules.extend(ids.filter(|id| id.starts_with('I')).map(str::to_owned));
        }
    }
    rules
}

/// `U7b` of `U7b Each unit`: one capital letter, a number, at most one small letter, then something else.
fn leading_id(text: &str) -> Option<&str> {
    let after_letter = text.strip_prefix(|first: char| first.is_ascii_uppercase())?;
    let after_number = after_letter.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if after_number.len() == after_letter.len() {
        return None;
    }
    let rest = after_number
        .strip_prefix(|last: char| last.is_ascii_lowercase())
        .unwrap_or(after_number);
    let ends = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    ends.then(|| &text[..text.len() - rest.len()])
}

/// Every citation with its line. `LOG-xx` in prose is not one.
fn cited(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(prefix) {
            let inside_a_word = line[..at]
                .ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '-'));
            let id = leading_id(&line[at + prefix.len()..]);
            found.extend(
                id.filter(|_| !inside_a_word)
                    .map(|id| (index + 1, id.to_owned())),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Log\n- U7 A checksum.\n- U7b Each.\nU9 in prose.\n## 5. Invariants (cite)\n\
        I1 (lane) has one. I16 every.\n## 6. Rest\nI17 is not.\n";

    #[test]
    fn rules_are_collected_from_items_and_from_the_invariants() {
        let rules: Vec<String> = rules(LOG).into_iter().collect();
        assert_eq!(rules, ["I1", "I16", "U7", "U7b"]);
    }

    #[test]
    fn a_citation_of_no_rule_is_refused() {
        let code = concat!(
            "//! Keeps LOG-U7, LOG-I16, CATALOG-U1 and LOG-xx.\n",
            "// ",
            "LOG",
            "-U8 and ",
            "FOLD",
            "-T9\n",
        );
        let tree = Tree::of(&[
            ("client/log/LOG.md", LOG),
            ("materializer/FOLD.md", "- T1 A term.\n"),
            ("a.rs", code),
        ]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 2);
        assert!(
            faults
                .iter()
                .all(|fault| fault.path == "a.rs" && fault.line == 2)
        );
        assert!(faults[0].what.contains("-U8`") && faults[1].what.contains("-T9`"));
    }

    #[test]
    fn a_missing_document_is_a_fault() {
        assert_eq!(check(&Tree::default()).len(), 2);
    }
}
