//! What goes to standard output: tables for people, JSON and names for programs.
use crate::failure::{Failure, Outcome};
use crate::globals::Format;
use crate::json;
use crate::quote;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};
use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows that are aligned together: more would keep the first ones waiting and fill memory.
const ROWS_ALIGNED_TOGETHER: usize = 1000;

/// Standard output, in the format that was asked for.
pub struct Output {
    format: Format,
    quiet: bool,
    /// Names end with NUL and are not escaped.
    null: bool,
    request_id: String,
    sink: Mutex<Box<dyn Write + Send>>,
}

/// One thing of a list.
pub struct Item {
    pub json: Value,
    /// What the next command needs to address it.
    pub name: Vec<u8>,
    /// As many as the list has columns.
    pub cells: Vec<String>,
}

/// A column, and whether figures stand in it.
#[derive(Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub right: bool,
}

impl Column {
    pub const fn text(title: &'static str) -> Column {
        Column {
            title,
            right: false,
        }
    }

    pub const fn figure(title: &'static str) -> Column {
        Column { title, right: true }
    }
}

impl Output {
    pub fn new(
        format: Format,
        quiet: bool,
        request_id: &str,
        sink: Box<dyn Write + Send>,
    ) -> Output {
        Output {
            format,
            quiet,
            null: false,
            request_id: request_id.to_string(),
            sink: Mutex::new(sink),
        }
    }

    /// Whether names are given as they are, each ended by NUL: then nothing else is.
    pub fn null(mut self, null: bool) -> Output {
        self.null = null;
        if null {
            self.format = Format::Name;
        }
        self
    }

    pub fn stdout() -> Box<dyn Write + Send> {
        Box::new(io::stdout())
    }

    pub fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// Text for people.
    pub fn is_table(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    fn sink(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes as they are: contents of files.
    pub fn raw(&self, bytes: &[u8]) -> Outcome {
        let mut sink = self.sink();
        sink.write_all(bytes).map_err(|e| Failure::output(&e))
    }

    pub fn flush(&self) -> Outcome {
        self.sink().flush().map_err(|e| Failure::output(&e))
    }

    fn line(&self, line: &[u8]) -> Outcome {
        self.ended(line, b"\n")
    }

    /// A name with control characters would be several lines, or do harm to a terminal.
    fn name(&self, name: &[u8]) -> Outcome {
        match self.null {
            true => self.ended(name, b"\0"),
            false if quote::has_control(name) => self.line(quote::shown(name).as_bytes()),
            false => self.line(name),
        }
    }

    fn ended(&self, line: &[u8], end: &[u8]) -> Outcome {
        let mut sink = self.sink();
        let written = sink.write_all(line).and_then(|()| sink.write_all(end));
        written
            .and_then(|()| sink.flush())
            .map_err(|e| Failure::output(&e))
    }

    /// One answer: a line for people, or an object. `quiet` leaves the line out.
    pub fn told(&self, kind: &str, lsn: u64, fields: Value, name: &[u8], line: &str) -> Outcome {
        match self.format {
            Format::Json => self.pretty(&json::envelope(kind, lsn, &self.request_id, fields)),
            Format::Jsonl => self.compact(&json::envelope(kind, lsn, &self.request_id, fields)),
            Format::Name => self.name(name),
            Format::Table | Format::Wide if self.quiet => Ok(()),
            Format::Table | Format::Wide => self.line(line.as_bytes()),
        }
    }

    /// One answer that is data: `quiet` keeps it.
    pub fn data(&self, kind: &str, lsn: u64, fields: Value, name: &[u8], text: &str) -> Outcome {
        match self.format {
            Format::Table | Format::Wide => self.line(text.as_bytes()),
            _ => self.told(kind, lsn, fields, name, text),
        }
    }

    /// One answer that is data, in a table a line per field.
    pub fn shown(&self, kind: &str, lsn: u64, item: Item, columns: &[Column]) -> Outcome {
        match self.format {
            Format::Json => self.pretty(&json::envelope(kind, lsn, &self.request_id, item.json)),
            Format::Jsonl => self.compact(&json::envelope(kind, lsn, &self.request_id, item.json)),
            Format::Name => self.name(&item.name),
            Format::Table | Format::Wide => {
                let titles = columns.iter().map(|column| column.title);
                let width = titles.clone().map(str::len).max().unwrap_or(0);
                for (title, cell) in titles.zip(&item.cells) {
                    self.line(format!("{title:>width$}  {cell}").as_bytes())?;
                }
                Ok(())
            }
        }
    }

    /// One object of a stream of them, for programs.
    pub fn object(&self, kind: &str, fields: Value) -> Outcome {
        self.compact(&json::envelope(kind, 0, &self.request_id, fields))
    }

    /// Begins a list. With no `columns` a table shows names only.
    pub fn list(&self, kind: &'static str, columns: Vec<Column>) -> List<'_> {
        List {
            output: self,
            kind,
            columns,
            rows: Vec::new(),
            items: Vec::new(),
            titled: false,
        }
    }

    fn pretty(&self, value: &Value) -> Outcome {
        self.line(format!("{value:#}").as_bytes())
    }

    fn compact(&self, value: &Value) -> Outcome {
        self.line(value.to_string().as_bytes())
    }
}

/// A list that is printed while it grows, except as one JSON object.
pub struct List<'a> {
    output: &'a Output,
    kind: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    items: Vec<Value>,
    titled: bool,
}

impl List<'_> {
    /// `lsn` is where the item's page was read; each JSON line says it.
    pub fn push(&mut self, lsn: u64, item: Item) -> Outcome {
        match self.output.format {
            Format::Json => self.items.push(item.json),
            Format::Jsonl => {
                let kind = self.kind.strip_suffix("List").unwrap_or(self.kind);
                let value = json::envelope(kind, lsn, &self.output.request_id, item.json);
                return self.output.compact(&value);
            }
            Format::Name => return self.output.name(&item.name),
            Format::Table | Format::Wide => {
                self.rows.push(item.cells);
                if self.rows.len() >= ROWS_ALIGNED_TOGETHER {
                    return self.flush_rows();
                }
            }
        }
        Ok(())
    }

    /// A line between rows of a table (`ls -R`); programs do not get it.
    pub fn heading(&mut self, text: &str) -> Outcome {
        match self.output.format {
            Format::Table | Format::Wide => {
                self.flush_rows()?;
                self.output.line(text.as_bytes())
            }
            _ => Ok(()),
        }
    }

    pub fn end(mut self, lsn: u64, more: bool) -> Outcome {
        if self.output.format == Format::Json {
            let items = std::mem::take(&mut self.items);
            let fields = serde_json::json!({ "items": items, "more": more });
            let value = json::envelope(self.kind, lsn, &self.output.request_id, fields);
            return self.output.pretty(&value);
        }
        self.flush_rows()
    }

    /// Prints what is there: for lists that go on later.
    pub fn flush(&mut self) -> Outcome {
        self.flush_rows()
    }

    fn flush_rows(&mut self) -> Outcome {
        if self.rows.is_empty() {
            return Ok(());
        }
        let titled = std::mem::replace(&mut self.titled, true);
        let table = aligned(&self.columns, std::mem::take(&mut self.rows), !titled);
        for line in table.lines() {
            self.output.line(line.trim_end().as_bytes())?;
        }
        Ok(())
    }
}

/// A table inside of a longer text.
pub(crate) fn aligned_text(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let table = aligned(columns, rows, true);
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().into()).collect();
    lines.join("\n")
}

fn aligned(columns: &[Column], rows: Vec<Vec<String>>, titled: bool) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_content_arrangement(ContentArrangement::Disabled);
    if titled && columns.iter().any(|column| !column.title.is_empty()) {
        table.set_header(columns.iter().map(|column| column.title));
    }
    table.add_rows(rows);
    for (i, column) in columns.iter().enumerate() {
        let Some(shown) = table.column_mut(i) else {
            continue;
        };
        // The first column begins at the margin, as in `ls`.
        shown.set_padding((if i == 0 { 0 } else { 1 }, 1));
        if column.right {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
#[path = "../tests/unit/output.rs"]
mod tests;
