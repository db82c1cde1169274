//! Rules are pure: input in, outputs out; nothing in their rooms waits, or touches the outside.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::Fault;
use crate::rust::RustFile;

/// Each is one file (`…/order.rs`), or everything below a directory, or both.
const ROOMS: [&str; 6] = [
    "bench/model/src",
    "log-units/src/unit",
    "materializer/src/fold",
    "materializer/src/plan",
    "sequencer/src/membership",
    "sequencer/src/order",
];

/// Words that only machinery says.
const WORDS: [&str; 6] = ["async", "await", "tokio", "rand", "dfs_env", "Env"];
/// Parts of `std` that reach outside. A span of time is `core::time::Duration`.
const STD: [&str; 6] = ["env", "fs", "net", "process", "thread", "time"];

pub fn check(parsed: &[RustFile<'_>]) -> Vec<Fault> {
    let pure = parsed.iter().filter(|rust| is_pure_room(&rust.file.path));
    pure.flat_map(check_file).collect()
}

fn is_pure_room(path: &str) -> bool {
    ROOMS.iter().any(|room| {
        let rest = path.strip_prefix(room);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

fn check_file(rust: &RustFile<'_>) -> Vec<Fault> {
    let Ok(stream) = rust.file.text.parse::<TokenStream>() else {
        return Vec::new();
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let mut faults = Vec::new();
    for index in 0..tokens.len() {
        let line = tokens[index].line;
        if rust.is_test_line(line) {
            continue;
        }
        if let Some(word) = impure_at(&tokens[index..]) {
            let what = format!(
                "`{word}` in a pure room: take it as input, or leave it to the machinery around"
            );
            faults.push(Fault::new(&rust.file.path, line, what));
        }
    }
    faults
}

/// What the tokens begin with, if a pure room must not hold it.
fn impure_at(tokens: &[Token]) -> Option<String> {
    let first = tokens.first()?.text.as_str();
    if WORDS.contains(&first) {
        return Some(first.to_owned());
    }
    if first != "std" || !is_path_separator(tokens.get(1..3)?) {
        return None;
    }
    let after = &tokens[3..];
    let part = match after.first()?.text.as_str() {
        "{" => parts_of_group(after)
            .into_iter()
            .find(|part| STD.contains(part)),
        part => Some(part).filter(|part| STD.contains(part)),
    };
    part.map(|part| format!("std::{part}"))
}

fn is_path_separator(tokens: &[Token]) -> bool {
    tokens.iter().all(|token| token.text == ":")
}

/// The names that `std::{…}` imports, without what lies deeper.
fn parts_of_group(tokens: &[Token]) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    for pair in tokens.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text.as_str(), "{" | ",") {
            parts.push(pair[1].text.as_str());
        }
    }
    parts
}

struct Token {
    text: String,
    line: usize,
}

/// Comments are gone and texts are one token each, so words in them do not count.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let TokenTree::Group(group) = tree else {
            tokens.push(Token {
                text: tree.to_string(),
                line,
            });
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::None => ("", ""),
        };
        tokens.push(Token {
            text: open.into(),
            line,
        });
        flatten(group.stream(), tokens);
        tokens.push(Token {
            text: close.into(),
            line: group.span_close().end().line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tree, rust};

    fn faults_of(path: &str, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[(path, text)]);
        let (parsed, broken) = rust::parse(&tree);
        assert!(broken.is_empty());
        check(&parsed)
    }

    #[test]
    fn each_impurity_is_found() {
        for impure in [
            "async fn a() {}",
            "fn a() { b.await; }",
            "use tokio::sync::mpsc;",
            "use std::fs;",
            "use std::{collections::BTreeMap, fs::File};",
            "fn a() { std::net::TcpStream::connect(b); }",
            "use std::time::Instant;",
            "fn a() -> u64 { rand::random() }",
            "fn a(env: &Env) {}",
        ] {
            let faults = faults_of(
                "sequencer/src/order.rs",
                &format!("//! Order.\n\n{impure}\n"),
            );
            assert!(!faults.is_empty(), "{impure}");
            assert_eq!(faults[0].line, 3, "{impure}");
        }
    }

    #[test]
    fn what_is_pure_passes() {
        let text = "//! Order: no tokio, no `std::fs`.\nuse core::time::Duration;\n\
            use std::{collections::{BTreeMap, btree_map}, fmt};\n\
            fn a() -> &'static str { \"std::fs rand\" }\n\
            #[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(faults_of("sequencer/src/order.rs", text), []);
    }

    #[test]
    fn only_the_pure_rooms_are_looked_at() {
        let text = "//! Waits.\nasync fn a() {}\n";
        for pure in [
            "materializer/src/fold/slot.rs",
            "materializer/src/fold.rs",
            "bench/model/src/lib.rs",
        ] {
            assert_eq!(faults_of(pure, text).len(), 1, "{pure}");
        }
        for machinery in ["materializer/src/folder.rs", "sequencer/src/service.rs"] {
            assert_eq!(faults_of(machinery, text), [], "{machinery}");
        }
    }
}
