//! What is an address, what is none, and that printing and parsing are inverse.
use super::{Address, escape};
use crate::moment::Moment;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn parse(text: &[u8]) -> Result<Address, super::BadAddress> {
    Address::parse(OsStr::from_bytes(text))
}

fn good(text: &str) -> Address {
    parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{text}: {bad:?}"))
}

#[test]
fn a_path_alone() {
    let address = good("/demo/a.txt");
    assert_eq!(address.path, b"demo/a.txt");
    assert_eq!(address.name(), Some(b"a.txt".as_slice()));
    assert_eq!((address.moment, address.directory), (None, false));
    assert!(address.prefixes.is_empty());
}

#[test]
fn the_root_has_no_name() {
    for root in ["/", "//", "/.", "/./"] {
        assert_eq!(good(root).path, b"");
        assert_eq!(good(root).name(), None);
    }
}

#[test]
fn prefixes_stand_before_the_first_slash() {
    assert_eq!(good("exp:/demo").prefixes, ["exp"]);
    assert_eq!(good("dev:exp:/demo").prefixes, ["dev", "exp"]);
    assert_eq!(good("/a:b/c:d").path, b"a:b/c:d");
    assert!(good("/a:b/c:d").prefixes.is_empty());
}

#[test]
fn moments() {
    assert_eq!(good("/t@1219").moment, Some(Moment::Lsn(1219)));
    assert_eq!(good("/t@-5m").moment, Some(Moment::AgoUs(300_000_000)));
    assert_eq!(good("/t@-1h30m").moment, Some(Moment::AgoUs(5_400_000_000)));
    assert_eq!(good("/t@head").moment, Some(Moment::Head));
    let time = good("/t@2026-11-19T10:00Z");
    assert_eq!(time.moment, Some(Moment::TimeUs(1_795_082_400_000_000)));
    assert_eq!(good("/t/@7").path, b"t");
    assert!(good("/t/@7").directory);
}

#[test]
fn a_doubled_at_is_a_literal_one() {
    assert_eq!(good("/me@@home").path, b"me@home");
    assert_eq!(good("/me@@home@12").moment, Some(Moment::Lsn(12)));
    let three = good("/a@@@12");
    assert_eq!(three.path, b"a@");
    assert_eq!(three.moment, Some(Moment::Lsn(12)));
}

#[test]
fn names_need_not_be_text() {
    let address = parse(b"/a/\xff\xfe@3").expect("bytes are names");
    assert_eq!(address.path, b"a/\xff\xfe");
    assert_eq!(address.to_string(), "/a/\\xff\\xfe@3");
}

#[test]
fn slashes_and_dots_collapse_and_two_dots_are_refused() {
    assert_eq!(good("//a///b/./c/").path, b"a/b/c");
    assert!(parse(b"/a/../b").is_err());
    assert_eq!(good("/a/..b").path, b"a/..b");
}

#[test]
fn what_is_no_address_says_why() {
    for (text, why) in [
        ("", "no path"),
        ("demo", "no path"),
        ("demo/a", "begins with /"),
        ("a:b:c:/x", "only a profile and a tree"),
        (":/x", "letters, digits"),
        ("a b:/x", "letters, digits"),
        ("/x@", "nothing follows"),
        ("/x@0", "begin with 1"),
        ("/x@yesterday", "neither an LSN"),
        ("/x@-", "`-`"),
        ("/x@-5parsecs", "-5parsecs"),
        ("/x@99999999999999999999", "larger than any LSN"),
        ("/user@example.com", "neither an LSN"),
        ("/x@2026-11-19T10:00", "neither an LSN"),
    ] {
        let bad = parse(text.as_bytes()).expect_err(text);
        assert!(bad.why.contains(why), "{text}: {}", bad.why);
        assert!(!bad.advice.is_empty());
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    // Few bytes on purpose: `@`, `:` and `.` must meet each other.
    let byte = prop::sample::select(b"ab@:.- \xff\xc3\n".to_vec());
    prop::collection::vec(byte, 1..6).prop_filter("dots", |n| n != b"." && n != b"..")
}

fn moment() -> impl Strategy<Value = Option<Moment>> {
    prop_oneof![
        Just(None),
        Just(Some(Moment::Head)),
        (1..u64::MAX).prop_map(|lsn| Some(Moment::Lsn(lsn))),
        (0..253_402_300_799_999_999_u64).prop_map(|us| Some(Moment::TimeUs(us))),
        (0..1_u64 << 50).prop_map(|us| Some(Moment::AgoUs(us))),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    let names = prop::collection::vec(name(), 0..4);
    let prefixes = prop::collection::vec("[a-z][a-z0-9_.-]{0,4}", 0..3);
    (prefixes, names, moment(), any::<bool>()).prop_map(|(prefixes, names, moment, slash)| {
        let path = names.join(&b'/');
        let directory = slash || path.is_empty();
        Address {
            prefixes,
            path,
            directory,
            moment,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_back(address in address()) {
        prop_assert_eq!(parse(&address.to_bytes()), Ok(address));
    }

    #[test]
    fn an_escaped_path_is_never_taken_for_a_moment(names in prop::collection::vec(name(), 0..4)) {
        let path = names.join(&b'/');
        let parsed = parse(&escape(&path)).expect("every path can be written");
        prop_assert_eq!((parsed.path, parsed.moment), (path, None));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn what_is_parsed_prints_to_the_same_place(
        bytes in prop::collection::vec(prop::sample::select(b"/a@:-5m.1\xff".to_vec()), 0..12),
    ) {
        if let Ok(first) = parse(&bytes) {
            prop_assert_eq!(parse(&first.to_bytes()), Ok(first));
        }
    }
}
