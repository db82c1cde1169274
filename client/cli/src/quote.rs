//! Names as a terminal may show them: bytes that are not text are written `\xNN`.
use std::fmt::Write;

/// Printable text as it is; control characters, backslashes and bytes that are not UTF-8 escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut text, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Whether a terminal or a reader of lines would take some of it for something else.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    bytes
        .utf8_chunks()
        .any(|chunk| chunk.valid().chars().any(char::is_control))
}

/// A sentence that may have such names in it, on one line.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

fn push(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        c if c.is_control() => text.extend(c.escape_unicode()),
        c => text.push(c),
    }
}

/// Hexadecimal, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{has_control, one_line, shown};

    #[test]
    fn only_text_is_shown_as_it_is() {
        assert_eq!(shown("größe.txt".as_bytes()), "größe.txt");
        assert_eq!(shown(b"a\xff\xfeb"), "a\\xff\\xfeb");
        assert_eq!(shown(b"a\x1b[31m\n\\"), "a\\u{1b}[31m\\n\\\\");
    }

    #[test]
    fn a_sentence_stays_one_line_and_does_no_harm() {
        assert_eq!(one_line("größe\r\n\x1b[31m\\"), "größe  \\u{1b}[31m\\");
        assert!(has_control("\u{9b}31m".as_bytes()) && has_control(b"\n"));
        assert!(!has_control("größe \\".as_bytes()) && !has_control(b"\xff"));
    }
}
