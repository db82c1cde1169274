//! Tests of `predicate.rs`: each question alone, on one entry.
use super::*;
use bytes::Bytes;

const NOW_NS: i64 = 1_800_000_000_000_000_000;

fn entry() -> Entry {
    Entry {
        inode: 7,
        parent: 1,
        name: Bytes::from_static(b"main.rs"),
        kind: Kind::File,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime_ns: NOW_NS - 2 * DAY_NS - 5 * MINUTE_NS,
        size: 4096,
        lsn: 50,
        log_time_us: 0,
        crc32c: 0,
        extents: 0,
        children: 0,
        link_target: Bytes::new(),
        content: None,
        xattrs: Vec::new(),
        acl: None,
        default_acl: None,
        links: 1,
    }
}

fn holds(ask: impl FnOnce(&mut Predicate)) -> bool {
    let mut predicate = Predicate {
        now_ns: NOW_NS,
        ..Predicate::default()
    };
    ask(&mut predicate);
    predicate.holds(&entry(), b"/src/main.rs")
}

#[test]
fn nothing_asked_holds_of_everything() {
    assert!(holds(|_| {}));
}

#[test]
fn names_and_paths_match_by_pattern() {
    let like = |text| Like::parse(text).expect(text);
    assert!(holds(|p| p.names = vec![like("*.rs")]));
    assert!(!holds(|p| p.names = vec![like("*.RS")]));
    assert!(holds(|p| p.names = vec![like("*.txt"), like("main*")]));
    let insensitive = Like::parse_ignoring_case("MAIN*").expect("a pattern");
    assert!(holds(|p| p.names = vec![insensitive]));
    assert!(holds(|p| p.paths = vec![like("/src/*")]));
    assert!(holds(|p| p.paths = vec![like("**/main.rs")]));
    assert!(!holds(|p| p.paths = vec![like("*")]));
}

#[test]
fn sizes_are_bytes_and_only_of_files() {
    let size = |text| vec![parse_size(text).expect(text)];
    assert!(holds(|p| p.sizes = size("4KiB")));
    assert!(holds(|p| p.sizes = size("+4095")));
    assert!(!holds(|p| p.sizes = size("+4k")));
    assert!(!holds(|p| p.sizes = size("-4k")));
    assert!(holds(|p| p.sizes = [size("+1k"), size("-1M")].concat()));
    let mut directory = entry();
    directory.kind = Kind::Directory;
    let predicate = Predicate {
        sizes: size("-1M"),
        ..Predicate::default()
    };
    assert!(!predicate.holds(&directory, b"/d"));
    assert!(parse_size("+").is_err() && parse_size("big").is_err());
}

#[test]
fn ages_are_whole_days_and_minutes() {
    let age = |text| Some(parse_age(text).expect(text));
    assert!(holds(|p| p.days = age("2")));
    assert!(holds(|p| p.days = age("+1")) && !holds(|p| p.days = age("+2")));
    assert!(holds(|p| p.days = age("-3")) && !holds(|p| p.days = age("-2")));
    assert!(holds(|p| p.minutes = age("2885")));
    assert!(parse_age("1.5").is_err() && parse_age("").is_err());
}

#[test]
fn newer_and_older_go_by_time_or_by_version() {
    let of = |moment| vec![Mark::of(moment, (NOW_NS / 1000) as u64).expect("a mark")];
    let day_us = (DAY_NS / 1000) as u64;
    assert!(holds(|p| p.newer = of(Moment::AgoUs(3 * day_us))));
    assert!(!holds(|p| p.newer = of(Moment::AgoUs(day_us))));
    assert!(holds(|p| p.older = of(Moment::AgoUs(day_us))));
    assert!(holds(|p| p.newer = of(Moment::Lsn(49))));
    assert!(!holds(|p| p.newer = of(Moment::Lsn(50))));
    assert!(holds(|p| p.older = of(Moment::Lsn(50))));
    assert_eq!(Mark::of(Moment::Head, 0), None);
}

#[test]
fn owners_bits_kinds_and_emptiness() {
    assert!(holds(|p| p.uid = Some(1000)) && !holds(|p| p.uid = Some(1)));
    assert!(holds(|p| p.gid = Some(100)) && !holds(|p| p.gid = Some(1)));
    for (bits, expected) in [
        ("644", true),
        ("600", false),
        ("-600", true),
        ("-022", false),
        ("/022", false),
        ("/222", true),
        ("/000", true),
    ] {
        let bits = Some(bits.parse::<Bits>().expect(bits));
        assert_eq!(holds(|p| p.bits = bits), expected, "{bits:?}");
    }
    assert!(holds(|p| p.kinds = vec![Kind::Directory, Kind::File]));
    assert!(!holds(|p| p.kinds = vec![Kind::Symlink]));
    assert!(!holds(|p| p.empty = true));
    assert!("9".parse::<Bits>().is_err());
}
