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
    use super::shown;

    #[test]
    fn only_text_is_shown_as_it_is() {
        assert_eq!(shown("größe.txt".as_bytes()), "größe.txt");
        assert_eq!(shown(b"a\xff\xfeb"), "a\\xff\\xfeb");
        assert_eq!(shown(b"a\x1b[31m\n\\"), "a\\u{1b}[31m\\n\\\\");
    }
}
