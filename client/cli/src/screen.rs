//! A screen that is drawn again and again in its place; where nobody looks, a block after the other.
use crate::call::Call;
use crate::failure::Outcome;
use console::{Term, truncate_str};
use std::fmt::Write as _;
use std::io::Write as _;

const BEGIN: &str = "\x1b[?25l\x1b[2J";
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\r\n";
const END_OF_SCREEN: &str = "\x1b[J";
/// The cursor is seen again.
const END: &[u8] = b"\x1b[?25h";

/// The terminal, for as long as it is drawn upon; `None` where output goes elsewhere.
pub(crate) struct Screen {
    terminal: Option<Term>,
}

impl Screen {
    /// Text for people on a terminal; programs and pipes get what they would get once, repeatedly.
    pub(crate) fn open(call: &Call) -> Outcome<Screen> {
        let terminal = Some(Term::stdout());
        let terminal = terminal.filter(|terminal| terminal.is_term() && call.output.is_table());
        if terminal.is_some() {
            call.output.raw(BEGIN.as_bytes())?;
        }
        Ok(Screen { terminal })
    }

    /// What fits of the text, in place of what was there; false: there is no terminal.
    pub(crate) fn draw(&self, call: &Call, text: &str) -> Outcome<bool> {
        let Some(terminal) = &self.terminal else {
            return Ok(false);
        };
        let (rows, columns) = terminal.size();
        call.output.raw(drawn(text, rows, columns).as_bytes())?;
        call.output.flush()?;
        Ok(true)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal.is_some() {
            // A terminal that has gone shows no cursor.
            let _ = std::io::stdout().write_all(END);
            let _ = std::io::stdout().flush();
        }
    }
}

/// The last row stays free: a line feed there would move everything.
fn drawn(text: &str, rows: u16, columns: u16) -> String {
    let fits = usize::from(rows.saturating_sub(1));
    let mut drawn = String::from(HOME);
    for line in text.lines().take(fits) {
        let line = truncate_str(line, usize::from(columns), "…");
        let _ = write!(drawn, "{line}{END_OF_LINE}");
    }
    drawn.push_str(END_OF_SCREEN);
    drawn
}

#[cfg(test)]
mod tests {
    use super::{END_OF_LINE, END_OF_SCREEN, HOME, drawn};

    #[test]
    fn what_does_not_fit_is_cut() {
        let told = drawn("health healthy\nsecond\nthird", 3, 8);
        let lines = format!("{HOME}health …{END_OF_LINE}second{END_OF_LINE}{END_OF_SCREEN}");
        assert_eq!(told, lines);
    }
}
