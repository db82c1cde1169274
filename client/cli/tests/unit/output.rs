//! One list in every format, byte for byte.
use super::{Column, Item, Output};
use crate::globals::Format;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn item(name: &str, size: u64) -> Item {
    Item {
        json: json!({ "name": name, "size": size }),
        name: name.as_bytes().to_vec(),
        cells: vec![size.to_string(), name.to_string()],
    }
}

fn printed(format: Format) -> String {
    let heard = Heard::default();
    let output = Output::new(format, false, "0a", Box::new(heard.clone()));
    let columns = vec![Column::figure("SIZE"), Column::text("NAME")];
    let mut list = output.list("EntryList", columns);
    list.push(9, item("a", 5)).expect("printed");
    list.push(9, item("long name", 1204)).expect("printed");
    list.end(9, false).expect("printed");
    let bytes = heard.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_table_aligns_figures_to_the_right() {
    assert_eq!(
        printed(Format::Table),
        "SIZE  NAME\n   5  a\n1204  long name\n"
    );
}

#[test]
fn names_stand_alone() {
    assert_eq!(printed(Format::Name), "a\nlong name\n");
}

#[test]
fn every_json_line_stands_for_itself() {
    let text = printed(Format::Jsonl);
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1],
        json!({
            "apiVersion": "dfs/v1", "kind": "Entry", "lsn": 9, "request_id": "0a",
            "name": "long name", "size": 1204,
        })
    );
}

#[test]
fn one_json_object_holds_the_whole_list() {
    let value: Value = serde_json::from_str(&printed(Format::Json)).expect("JSON");
    assert_eq!(value["kind"], "EntryList");
    assert_eq!(value["lsn"], 9);
    assert_eq!(value["more"], false);
    assert_eq!(value["items"][0], json!({ "name": "a", "size": 5 }));
}

#[test]
fn an_empty_list_is_nothing_or_an_empty_object() {
    for (format, expected) in [(Format::Table, ""), (Format::Name, ""), (Format::Jsonl, "")] {
        let heard = Heard::default();
        let output = Output::new(format, false, "0a", Box::new(heard.clone()));
        output
            .list("EntryList", vec![Column::text("NAME")])
            .end(1, false)
            .expect("printed");
        assert_eq!(*heard.0.lock().expect("not poisoned"), expected.as_bytes());
    }
}

#[test]
fn quiet_leaves_sentences_out_and_keeps_data() {
    let heard = Heard::default();
    let output = Output::new(Format::Table, true, "0a", Box::new(heard.clone()));
    output
        .told("Made", 3, json!({}), b"/a", "made /a  lsn 3")
        .expect("printed");
    assert!(heard.0.lock().expect("not poisoned").is_empty());
    let columns = [Column::text("size"), Column::text("name")];
    output
        .shown("Entry", 3, item("a", 5), &columns)
        .expect("printed");
    assert_eq!(
        *heard.0.lock().expect("not poisoned"),
        b"size  5\nname  a\n"
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error_worth_a_word() {
    let output = Output::new(Format::Table, false, "0a", Box::new(Gone));
    let failure = output
        .told("Made", 3, json!({}), b"", "made")
        .expect_err("gone");
    assert!(failure.silent);
}
