//! Negative controls: histories with a lie in them, each of which the judge must find.
use super::{Found, Wrong, judge};
use crate::history::{Act, Operation, Outcome};

/// One after another, the n-th from 10 n to 10 n + 5 µs.
fn history(acts: Vec<(Act, Outcome)>) -> Vec<Operation> {
    let operation = |(n, (act, outcome)): (usize, (Act, Outcome))| Operation {
        client: "c".into(),
        due_us: 10 * n as u64,
        start_us: 10 * n as u64,
        end_us: 10 * n as u64 + 5,
        act,
        outcome,
    };
    acts.into_iter().enumerate().map(operation).collect()
}

fn done(lsn: u64) -> Outcome {
    Outcome::Done { lsn }
}

fn refused() -> Outcome {
    Outcome::Refused("no".into())
}

fn unknown() -> Outcome {
    Outcome::Unknown("silence".into())
}

fn directory(name: &str) -> Act {
    Act::MakeDirectory(name.into())
}

fn line(line: &str) -> Act {
    let (file, line) = ("f".into(), line.into());
    Act::Append { file, line }
}

fn write(value: &str) -> Act {
    let (register, value) = ("r".into(), value.into());
    Act::Write { register, value }
}

fn read(lsn: u64, version: u64, value: &str) -> (Act, Outcome) {
    let value = value.into();
    let saw = Outcome::Saw {
        lsn,
        version,
        value,
    };
    (
        Act::Read {
            register: "r".into(),
        },
        saw,
    )
}

fn truth() -> Vec<(Act, Outcome)> {
    vec![
        (directory("a"), done(1)),
        (directory("b"), refused()),
        (directory("c"), unknown()),
        (line("one"), done(3)),
        (line("two"), unknown()),
        (line("three"), done(5)),
        (line("four"), refused()),
        (write("v1"), done(6)),
        read(6, 6, "v1"),
        (write("v2"), unknown()),
        read(9, 8, "v2"),
        (write("v3"), refused()),
        (write("v4"), done(10)),
        (Act::WriteLarge("l".into()), done(11)),
    ]
}

fn there() -> Found {
    let lines = ["one", "two", "three"].map(String::from).to_vec();
    Found {
        directories: [("a".into(), 1), ("c".into(), 2)].into(),
        lines: [("f".into(), lines)].into(),
        large: [("l".into(), (11, true))].into(),
        registers: [("r".into(), ("v4".into(), 10))].into(),
    }
}

fn wrongs(history: &[Operation], found: &Found) -> Vec<Wrong> {
    let faults = judge(history, found);
    faults.into_iter().map(|fault| fault.wrong).collect()
}

/// What the judge says when the end is otherwise than the truth.
fn found(change: impl FnOnce(&mut Found)) -> Vec<Wrong> {
    let mut found = there();
    change(&mut found);
    wrongs(&history(truth()), &found)
}

/// The same of an operation more.
fn after(act: Act, outcome: Outcome) -> Vec<Wrong> {
    let mut acts = truth();
    acts.push((act, outcome));
    wrongs(&history(acts), &there())
}

#[test]
fn the_truth_passes_with_what_is_unknown_there_or_not() {
    assert_eq!(found(|_| ()), []);
    assert_eq!(
        found(|found| {
            found.directories.remove("c");
            found.lines.get_mut("f").unwrap().remove(1);
        }),
        []
    );
}

#[test]
fn what_was_acknowledged_and_is_gone_is_lost() {
    assert_eq!(
        found(|found| _ = found.directories.remove("a")),
        [Wrong::Lost]
    );
    assert_eq!(found(|found| _ = found.large.remove("l")), [Wrong::Lost]);
    assert_eq!(
        found(|found| _ = found.lines.get_mut("f").unwrap().remove(0)),
        [Wrong::Lost]
    );
    let back = ("v2".into(), 8);
    assert_eq!(
        found(|found| _ = found.registers.insert("r".into(), back)),
        [Wrong::Lost]
    );
}

#[test]
fn what_happened_twice_is_doubled() {
    let twice = |found: &mut Found| found.lines.get_mut("f").unwrap().push("one".into());
    assert_eq!(found(twice), [Wrong::Doubled]);
    // What nobody knows of may happen once, not twice.
    let twice = |found: &mut Found| found.lines.get_mut("f").unwrap().insert(2, "two".into());
    assert_eq!(found(twice), [Wrong::Doubled]);
    let made_again = |found: &mut Found| _ = found.directories.insert("a".into(), 4);
    assert_eq!(found(made_again), [Wrong::Doubled]);
    let written_again = |found: &mut Found| {
        found.registers.insert("r".into(), ("v4".into(), 12));
    };
    assert_eq!(found(written_again), [Wrong::Doubled]);
    let seen = read(12, 12, "v4");
    assert!(after(seen.0, seen.1).contains(&Wrong::Doubled));
}

#[test]
fn two_records_never_have_one_lsn() {
    let wrongs = after(directory("d"), done(11));
    assert!(wrongs.contains(&Wrong::Doubled), "{wrongs:?}");
}

#[test]
fn what_was_refused_and_is_there_is_undead() {
    let made = |found: &mut Found| _ = found.directories.insert("b".into(), 2);
    assert_eq!(found(made), [Wrong::Undead]);
    let appended = |found: &mut Found| found.lines.get_mut("f").unwrap().push("four".into());
    assert_eq!(found(appended), [Wrong::Undead]);
    let wrongs = after(read(12, 12, "v3").0, read(12, 12, "v3").1);
    assert!(wrongs.contains(&Wrong::Undead), "{wrongs:?}");
}

#[test]
fn what_nobody_asked_for_is_foreign() {
    let made = |found: &mut Found| _ = found.directories.insert("x".into(), 2);
    assert_eq!(found(made), [Wrong::Foreign]);
    let appended = |found: &mut Found| found.lines.get_mut("f").unwrap().push("five".into());
    assert_eq!(found(appended), [Wrong::Foreign]);
}

#[test]
fn a_read_older_than_what_was_known_is_stale() {
    // At an LSN below one that was told of before.
    let (act, outcome) = read(9, 8, "v2");
    assert_eq!(after(act, outcome), [Wrong::Stale]);
    // At a fresh LSN, with the value of a write before the last.
    let (act, outcome) = read(11, 8, "v2");
    assert_eq!(after(act, outcome), [Wrong::Stale]);
    let (act, outcome) = read(11, 10, "v4");
    assert_eq!(after(act, outcome), []);
}

#[test]
fn a_write_that_comes_before_what_was_known_is_stale() {
    assert_eq!(after(directory("d"), done(7)), [Wrong::Stale, Wrong::Lost]);
}

#[test]
fn operations_that_overlap_may_come_in_any_order() {
    let mut history = history(truth());
    let mut late = history[8].clone();
    late.start_us = 0; // asked at the beginning, answered at the end
    late.end_us = 1_000;
    history.push(late);
    assert_eq!(wrongs(&history, &there()), []);
}

#[test]
fn what_is_not_as_it_was_written_is_torn() {
    let torn = |found: &mut Found| _ = found.large.insert("l".into(), (11, false));
    assert_eq!(found(torn), [Wrong::Torn]);
    let swapped = |found: &mut Found| found.lines.get_mut("f").unwrap().swap(0, 2);
    assert_eq!(found(swapped), [Wrong::Torn]);
    let mut acts = truth();
    let (act, outcome) = read(11, 12, "v5");
    acts.push((act, outcome));
    acts.push((write("v5"), done(12)));
    let wrongs = wrongs(&history(acts), &there());
    assert!(wrongs.contains(&Wrong::Torn), "{wrongs:?}");
}
