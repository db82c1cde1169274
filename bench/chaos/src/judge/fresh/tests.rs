//! Each kind of lie that one answer can tell, and the truth.
use super::{Known, Shown, Told, VERSIONS_KEPT};
use crate::judge::{Fault, Wrong};

const R: &str = "r0";

fn shown(lsn: u64, version: u64, value: &str) -> Shown<'_> {
    Shown {
        lsn,
        version,
        value,
    }
}

fn wrong(fault: Option<Fault>) -> Option<Wrong> {
    fault.map(|fault| fault.wrong)
}

/// v1 was written by LSN 10, v2 by LSN 20.
fn told() -> Told {
    let mut told = Told::default();
    for (value, lsn) in [("v1", 10), ("v2", 20)] {
        told.asks_to_write(R, value);
        assert_eq!(told.wrote(R, value, lsn), None);
    }
    told
}

/// What the judge says of this answer to somebody who asks now.
fn now(told: &mut Told, shown: Shown<'_>) -> Option<Wrong> {
    let known = told.known(R);
    wrong(told.shown(R, known, shown))
}

#[test]
fn the_truth_passes() {
    let mut told = told();
    assert_eq!(now(&mut told, shown(20, 20, "v2")), None);
    assert_eq!(now(&mut told, shown(25, 20, "v2")), None);
    let known = told.known(R);
    assert_eq!(told.ended(known, 26), None);
}

#[test]
fn an_answer_below_what_was_known_is_stale() {
    let mut told = told();
    assert_eq!(now(&mut told, shown(19, 10, "v1")), Some(Wrong::Stale));
    // The LSN is fresh, the value is not.
    assert_eq!(now(&mut told, shown(20, 10, "v1")), Some(Wrong::Stale));
    assert_eq!(now(&mut told, shown(99, 10, "v1")), Some(Wrong::Stale));
    // The value is the last one, but it is shown as of a moment that others are past.
    assert_eq!(now(&mut told, shown(98, 20, "v2")), Some(Wrong::Stale));
    let known = told.known(R);
    assert_eq!(wrong(told.ended(known, 99)), Some(Wrong::Stale));
}

#[test]
fn what_is_told_meanwhile_does_not_count() {
    let mut told = told();
    let known = told.known(R);
    told.asks_to_write(R, "v3");
    assert_eq!(told.wrote(R, "v3", 30), None);
    assert_eq!(told.shown(R, known, shown(20, 20, "v2")), None);
    assert_eq!(told.ended(known, 21), None);
}

#[test]
fn a_value_that_was_not_the_last_one_is_stale_however_late_that_is_known() {
    let mut told = told();
    let known = told.known(R);
    told.asks_to_write(R, "v3");
    // Nobody knows yet that LSN 30 is v3.
    assert_eq!(told.shown(R, known, shown(31, 20, "v2")), None);
    assert_eq!(wrong(told.wrote(R, "v3", 30)), Some(Wrong::Stale));
    // Nobody had been told when it was asked, but it is known now.
    let early = told.shown(R, known, shown(32, 20, "v2"));
    assert_eq!(wrong(early), Some(Wrong::Stale));
}

#[test]
fn another_value_than_was_written_there_is_found() {
    let mut told = told();
    assert_eq!(now(&mut told, shown(20, 20, "v1")), Some(Wrong::Doubled));
    assert_eq!(now(&mut told, shown(30, 30, "v2")), Some(Wrong::Doubled));
    assert_eq!(now(&mut told, shown(40, 40, "x")), Some(Wrong::Undead));
    told.asks_to_write(R, "v5");
    assert_eq!(now(&mut told, shown(60, 61, "v5")), Some(Wrong::Torn));
}

#[test]
fn what_is_refused_was_never_there() {
    let mut told = told();
    told.asks_to_write(R, "v3");
    told.asks_to_write(R, "v4");
    assert_eq!(told.refused(R, "v4"), None);
    assert_eq!(now(&mut told, shown(40, 40, "v4")), Some(Wrong::Undead));
    assert_eq!(now(&mut told, shown(50, 50, "v3")), None);
    assert_eq!(wrong(told.refused(R, "v3")), Some(Wrong::Undead));
}

#[test]
fn what_is_remembered_is_bounded_and_the_last_one_is_kept() {
    let mut told = told();
    let first = Known::default();
    let last = 20 + 2 * VERSIONS_KEPT as u64;
    for lsn in 21..=last {
        let value = format!("v{lsn}");
        told.asks_to_write(R, &value);
        assert_eq!(told.wrote(R, &value, lsn), None);
        assert_eq!(now(&mut told, shown(lsn, lsn, &value)), None);
    }
    let register = &told.registers[R];
    assert_eq!(register.versions.len(), VERSIONS_KEPT);
    assert!(register.asked.is_empty());
    assert_eq!(now(&mut told, shown(last, 20, "v2")), Some(Wrong::Stale));
    assert_eq!(
        wrong(told.shown(R, first, shown(last, 20, "v2"))),
        Some(Wrong::Stale)
    );
}
