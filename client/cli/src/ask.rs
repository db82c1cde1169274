//! Questions before what cannot be taken back, asked only of a person at a terminal.
use crate::failure::{Failure, Outcome};
use std::io::{self, BufRead, IsTerminal, Write};

/// Goes on only after `y`; without a terminal nobody can answer, so `-y` is needed.
pub fn confirm(question: &str, yes: bool) -> Outcome {
    if yes {
        return Ok(());
    }
    let answer = answer(&format!("{question} [y/N] "), question, "say -y beforehand")?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(stopped(question)),
    }
}

/// Goes on only after `name` was typed, or given beforehand.
pub fn confirm_name(question: &str, name: &str, given: Option<&str>) -> Outcome {
    let typed = match given {
        Some(given) => given.to_string(),
        None => {
            let prompt = format!("{question}\nType `{name}` to go on: ");
            answer(&prompt, question, &format!("say --name {name} beforehand"))?
        }
    };
    if typed.trim() == name {
        return Ok(());
    }
    let why = format!("`{}` is not its name, `{name}`", typed.trim());
    Err(Failure::usage(
        question,
        why,
        "Nothing was done; name it exactly",
    ))
}

fn answer(prompt: &str, question: &str, instead: &str) -> Outcome<String> {
    if !io::stdin().is_terminal() {
        let why = "there is no terminal to ask at";
        return Err(Failure::usage(
            question,
            why,
            format!("Nothing was done; {instead}"),
        ));
    }
    let mut line = String::new();
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{prompt}").and_then(|()| stderr.flush());
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut line));
    read.map_err(|e| Failure::local("ask at", std::path::Path::new("the terminal"), &e))?;
    Ok(line)
}

fn stopped(question: &str) -> Failure {
    Failure::usage(question, "the answer was no", "Nothing was done")
}
