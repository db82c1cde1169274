//! One shard's rules hold in every state of the small worlds, and each rule left out is noticed.

mod judge;

use dfs_protocol::terms::TermsModel;
use dfs_protocol::terms::mutant::{Mutant, Refusals};
use dfs_protocol::terms::scenario::Scenario;
use dfs_protocol::verdict::{Search, Size, search};
use judge::went_wrong;

fn holds(scenarios: Vec<Scenario>, refusals: Refusals) {
    for scenario in scenarios {
        let name = scenario.name;
        let model = TermsModel {
            scenario,
            mutant: None,
            refusals,
        };
        let verdict = search(model, Search::Exhaustive { threads: 1 });
        println!("{name}: {verdict}");
        assert!(verdict.is_good(), "{name}: {verdict}");
    }
}

fn caught(mutant: Mutant, property: &str) {
    let model = TermsModel {
        scenario: Scenario::of_mutant(mutant),
        mutant: Some(mutant),
        refusals: Refusals::Recorded,
    };
    went_wrong(mutant, search(model, Search::ToFirstFault), property);
}

#[test]
fn the_rules_hold() {
    holds(Scenario::all(Size::Small), Refusals::Recorded);
}

/// FOLD-S3 records the refusal of an attempt > 1. None of the properties needs that: it makes replies
/// equal, not requests safe.
#[test]
fn the_rules_hold_also_if_no_refusal_is_recorded() {
    holds(vec![Scenario::takeover(2)], Refusals::NotRecorded);
}

#[test]
fn overlay_over_a_foreign_guarded_frame() {
    caught(
        Mutant::OverlayOverForeign,
        "an effect meets what its plan relied on",
    );
}

#[test]
fn overlay_of_the_former_term() {
    caught(
        Mutant::OverlayOfOldTerm,
        "an effect meets what its plan relied on",
    );
}

#[test]
fn terms_by_number() {
    caught(Mutant::TermsByNumber, "a term has one owner");
}

#[test]
fn control_read_from_a_later_lsn() {
    caught(
        Mutant::ControlFromLater,
        "all replicas void the same frames",
    );
}

#[test]
fn commit_without_session_guard() {
    caught(
        Mutant::CommitWithoutSession,
        "an effect meets what its plan relied on",
    );
}

#[test]
fn frames_of_any_term() {
    caught(Mutant::TermNotGuarded, "at most once");
}

#[test]
fn refusal_without_end() {
    caught(Mutant::RefusalWithoutEnd, "linearizable");
}

#[test]
fn read_without_end() {
    caught(Mutant::ReadWithoutEnd, "linearizable");
}

#[test]
fn answered_at_the_cut() {
    caught(Mutant::AnsweredAtCut, "answered as done");
}

#[test]
fn not_applied_told_before_the_fold() {
    caught(Mutant::VoidBeforeFold, "never happens");
}

#[test]
fn planning_before_the_own_term_is_folded() {
    caught(Mutant::PlansBeforeOwnTerm, "at most once");
}

#[test]
fn requests_of_any_term() {
    caught(Mutant::AnyTermTaken, "never happens");
}

#[test]
fn attempts_forgotten() {
    caught(Mutant::AttemptsForgotten, "never happens");
}

#[test]
fn any_refusal_counts() {
    caught(Mutant::AnyRefusalCounts, "never happens");
}

#[test]
fn slot_not_looked_up() {
    caught(Mutant::SlotNotLookedUp, "never happens");
}

#[test]
fn retry_planned_twice() {
    caught(Mutant::RetryPlannedTwice, "never happens");
}

#[test]
fn session_gone_taken_for_a_refusal() {
    caught(Mutant::SessionGoneRefuses, "never happens");
}

#[test]
fn every_mutant_is_tested_above() {
    assert_eq!(Mutant::all().len(), 17, "a new one needs its test");
}
