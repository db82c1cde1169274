//! The keys of one TOML file, each with its line and column.
use super::{Gathered, Given, meant, shortened};
use crate::config::keys;
use crate::config::mistake::Place;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

/// One file being read.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    into: &'a mut Gathered,
}

pub(super) fn gather(path: &Path, text: &str, into: &mut Gathered) {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(text.len(), |span| span.start);
        let allowed = shortened(error.message());
        into.mistake(place(path, text, offset), "", "this is no TOML", allowed);
    }
    into.not_toml = !errors.is_empty();
    // What is left of a text that is not understood would only lead astray.
    if errors.is_empty() {
        let mut reading = Reading { path, text, into };
        reading.table("", table.get_ref());
    }
}

/// Of a byte of the text, as an editor counts.
pub(super) fn place(path: &Path, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_begins = before.rfind('\n').map_or(0, |end| end + 1);
    Place::File {
        path: path.into(),
        line: before.matches('\n').count() + 1,
        column: before[line_begins..].chars().count() + 1,
    }
}

impl Reading<'_> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        place(self.path, self.text, span.start)
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        // In the order of the file, which is that of mistakes.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            self.entry(&name, key.span(), value);
        }
    }

    fn entry(&mut self, name: &str, at: std::ops::Range<usize>, value: &Spanned<DeValue<'_>>) {
        let is_section = keys::is_section(name);
        match (keys::find(name), value.get_ref()) {
            (Some(key), inner) => {
                let place = self.place(value.span());
                let text = self.text.get(value.span()).unwrap_or_default();
                match plain(inner) {
                    Some(plain) => {
                        let elements = self.elements(inner);
                        let given = Given {
                            value: plain,
                            text: text.into(),
                            place,
                            elements,
                        };
                        self.into.take(key, given);
                    }
                    None => self.into.spoil(key, place, text),
                }
            }
            (None, DeValue::Table(inner)) if is_section => self.table(name, inner),
            (None, _) if is_section => {
                let found = self.text.get(value.span()).unwrap_or_default();
                let (found, place) = (format!(" = {}", shortened(found)), self.place(value.span()));
                let allowed = format!("allowed is a section, [{name}]");
                self.into.mistake(place, name, found, allowed);
            }
            (None, DeValue::Table(_)) if keys::nearest_section(name).is_some() => {
                let meant = keys::nearest_section(name).unwrap_or_default();
                let place = self.place(at);
                self.into
                    .unknown(place, name, &format!("; [{meant}] is a section"));
            }
            (None, _) => {
                let place = self.place(at);
                self.into.unknown(place, name, &meant(name));
            }
        }
    }

    fn elements(&self, value: &DeValue<'_>) -> Vec<Place> {
        let DeValue::Array(list) = value else {
            return Vec::new();
        };
        list.iter()
            .map(|element| self.place(element.span()))
            .collect()
    }
}

/// `None`: no value that a key could have.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(Value::Integer(number))
        }
        DeValue::Boolean(flag) => Some(Value::Boolean(*flag)),
        // An element of another type stays in its place, as one that no kind allows.
        DeValue::Array(list) => {
            let element =
                |e: &Spanned<DeValue<'_>>| plain(e.get_ref()).unwrap_or(Value::Float(0.0));
            Some(Value::Array(list.iter().map(element).collect()))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
