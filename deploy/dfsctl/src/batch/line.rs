//! A command line of a batch as words, quoted as in a shell; nothing else of a shell is in it.
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The words; none of an empty line or a comment. `'…'` is as it is, in `"…"` a backslash quotes `"` and `\`,
/// elsewhere whatever follows it.
pub(super) fn words(line: &[u8]) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' => words.extend(word.take()),
            b'#' if word.is_none() => break,
            b'\'' => quoted(&mut bytes, b'\'', word.get_or_insert_default())?,
            b'"' => quoted(&mut bytes, b'"', word.get_or_insert_default())?,
            b'\\' => {
                let next = bytes.next().ok_or("a backslash ends the line")?;
                word.get_or_insert_default().push(next);
            }
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

fn quoted(
    bytes: &mut impl Iterator<Item = u8>,
    quote: u8,
    word: &mut Vec<u8>,
) -> Result<(), String> {
    while let Some(byte) = bytes.next() {
        match byte {
            byte if byte == quote => return Ok(()),
            b'\\' if quote == b'"' => match bytes.next() {
                Some(next @ (b'"' | b'\\')) => word.push(next),
                Some(next) => word.extend([b'\\', next]),
                None => break,
            },
            byte => word.push(byte),
        }
    }
    Err(format!("a {} is not closed", char::from(quote)))
}

#[cfg(test)]
mod tests {
    use super::words;

    fn of(line: &str) -> Vec<String> {
        let words = words(line.as_bytes()).expect(line).into_iter();
        words
            .map(|word| word.into_string().expect("text"))
            .collect()
    }

    #[test]
    fn words_are_quoted_as_in_a_shell() {
        assert_eq!(of("rm -r /a"), ["rm", "-r", "/a"]);
        assert_eq!(
            of("  rm\t'/a b'  \"/c \\\"d\\x\" /e\\ f\r"),
            ["rm", "/a b", "/c \"d\\x", "/e f"]
        );
        assert_eq!(of("ls ''"), ["ls", ""]);
        assert_eq!(of("# nothing"), Vec::<String>::new());
        assert_eq!(of("ls /a#b # and this"), ["ls", "/a#b"]);
        assert_eq!(of("ls /a*"), ["ls", "/a*"]);
        for bad in ["ls 'a", "ls \"a", "ls a\\"] {
            assert!(words(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
