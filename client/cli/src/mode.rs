//! Permission bits as people write them: `644`, or changes such as `u+x,go-w`.
use std::str::FromStr;

/// What becomes of permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Octal(u32),
    Changes(Vec<Change>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Bits of the classes that are meant.
    who: u32,
    op: Op,
    /// Bits of all three classes, of which `who` takes its own.
    bits: u32,
    /// `X`
    run_if_any: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Set,
}

/// 0 to 07777, with or without the leading 0.
pub(crate) fn parse_octal(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = digits.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let mode = mode.filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| "permission bits are 0 to 7777 in octal".into())
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return parse_octal(text).map(Mode::Octal);
        }
        let changes: Option<Vec<Change>> = text.split(',').map(parse_change).collect();
        let changes = changes.ok_or_else(|| "write 644, u+x, go-w or a=rX".to_string())?;
        Ok(Mode::Changes(changes))
    }
}

fn parse_change(text: &str) -> Option<Change> {
    let at = text.find(['+', '-', '='])?;
    let mut who = 0;
    for class in text[..at].chars() {
        who |= match class {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    let op = match text.as_bytes()[at] {
        b'+' => Op::Add,
        b'-' => Op::Remove,
        _ => Op::Set,
    };
    let (mut bits, mut run_if_any) = (0, false);
    for bit in text[at + 1..].chars() {
        match bit {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            's' => bits |= 0o6000,
            't' => bits |= 0o1000,
            'X' => run_if_any = true,
            _ => return None,
        }
    }
    Some(Change {
        who: if at == 0 { 0o7777 } else { who },
        op,
        bits,
        run_if_any,
    })
}

impl Mode {
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let changes = match self {
            Mode::Octal(mode) => return *mode,
            Mode::Changes(changes) => changes,
        };
        changes.iter().fold(mode, |mode, change| {
            let runs = change.run_if_any && (is_directory || mode & 0o111 != 0);
            let bits = (change.bits | if runs { 0o111 } else { 0 }) & change.who;
            match change.op {
                Op::Add => mode | bits,
                Op::Remove => mode & !bits,
                // The special bits stay unless they are named, as directories expect it.
                Op::Set => mode & !(change.who & 0o777) | bits,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, parse_octal};

    #[test]
    fn modes_as_chmod_knows_them() {
        for (text, before, is_directory, after) in [
            ("644", 0o777, false, 0o644),
            ("0755", 0, false, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("a=rX", 0o600, false, 0o444),
            ("a=rX", 0o700, true, 0o555),
            ("u=rw,go=r", 0o777, false, 0o644),
            ("u+s,+t", 0o755, false, 0o5755),
            ("o=", 0o777, false, 0o770),
        ] {
            let mode: Mode = text.parse().expect(text);
            assert_eq!(mode.apply(before, is_directory), after, "{text}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for bad in ["", "8", "77777", "rwx", "u+q", "z+x", "u+x,", "0x1"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
        assert!(parse_octal("-1").is_err());
    }
}
