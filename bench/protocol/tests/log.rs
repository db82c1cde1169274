//! The log's rules hold in every state of the small worlds, and each rule left out is noticed.

mod judge;

use dfs_protocol::log::LogModel;
use dfs_protocol::log::mutant::Mutant;
use dfs_protocol::log::scenario::Scenario;
use dfs_protocol::verdict::{Search, Size, search};
use judge::went_wrong;

fn holds(name: &str) {
    let scenarios = Scenario::all(Size::Small).into_iter();
    let mut searched = 0;
    for scenario in scenarios.filter(|scenario| scenario.name == name) {
        let mutant = None;
        let threads = 1;
        let verdict = search(
            LogModel { scenario, mutant },
            Search::Exhaustive { threads },
        );
        println!("{name}: {verdict}");
        assert!(verdict.is_good(), "{name}: {verdict}");
        searched += 1;
    }
    assert!(searched > 0);
}

fn caught(mutant: Mutant, property: &str) {
    let scenario = Scenario::of_mutant(mutant);
    let mutated = LogModel {
        scenario,
        mutant: Some(mutant),
    };
    went_wrong(mutant, search(mutated, Search::ToFirstFault), property);
}

#[test]
fn failovers_and_power_failures() {
    holds("failover");
}

#[test]
fn lost_and_damaged_disks() {
    holds("disk");
}

#[test]
fn lanes_that_move() {
    holds("moves");
}

#[test]
fn two_lanes_on_two_stripes() {
    holds("two-stripes");
}

#[test]
fn a_doubled_owner() {
    holds("clone");
}

#[test]
fn every_scenario_of_the_small_size_is_searched_above() {
    let mut names: Vec<&str> = Scenario::all(Size::Small)
        .iter()
        .map(|of| of.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["clone", "disk", "failover", "moves", "two-stripes"]);
}

#[test]
fn durable_before_fsync() {
    caught(Mutant::DurableBeforeFsync, "durable on W units");
}

#[test]
fn hello_before_resync() {
    caught(Mutant::HelloBeforeResync, "durable on W units");
}

#[test]
fn resend_before_the_seal_applies() {
    caught(Mutant::ResendBeforeSeal, "no payload has two LSNs");
}

#[test]
fn resend_from_what_was_last_heard() {
    caught(Mutant::ResendFromHeard, "a sealed length is final");
}

#[test]
fn a_seal_that_is_not_final() {
    caught(Mutant::SealNotFinal, "a sealed length is final");
}

#[test]
fn read_of_an_unapplied_cut() {
    caught(Mutant::ReadUnapplied, "a reader holds a prefix of the log");
}

#[test]
fn quorum_of_one() {
    caught(Mutant::QuorumOfOne, "durable on W units");
}

#[test]
fn a_unit_that_forgets() {
    caught(Mutant::UnitForgets, "durable on W units");
}

#[test]
fn a_hello_that_does_not_replace() {
    caught(
        Mutant::HelloDoesNotReplace,
        "no cut counts on a copy known to be lost",
    );
}

#[test]
fn lossy_judged_by_the_cuts_at_hello() {
    caught(Mutant::LossyByLength, "durable on W units");
}

#[test]
fn owner_reused() {
    caught(Mutant::OwnerReused, "one content per (lane, idx)");
}

#[test]
fn a_chain_not_compared_by_the_leader() {
    caught(Mutant::ChainNotCompared, "durable on W units");
}

#[test]
fn a_chain_not_compared_by_a_unit() {
    caught(Mutant::ChainNotServed, "what a unit serves is committed");
}

#[test]
fn a_cut_forgotten_before_its_stamps_are_synced() {
    caught(Mutant::ForgetBeforeSync, "the order of what is cut");
}

#[test]
fn stamped_without_frames() {
    caught(Mutant::StampsWithoutFrames, "can be read from one unit");
}

#[test]
fn a_cut_forgotten_by_one_stripe_of_two() {
    caught(Mutant::ForgetByOneStripe, "the order of what is cut");
}

#[test]
fn max_merge_missing() {
    caught(Mutant::MaxMergeMissing, "LSNs are dense");
}

#[test]
fn every_mutant_is_tested_above() {
    assert_eq!(Mutant::all().len(), 17, "a new one needs its test");
}
