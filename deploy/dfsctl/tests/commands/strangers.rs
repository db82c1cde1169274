//! What a stranger types: mistakes, odd files, failures half way, signals, two systems at once.
use crate::system::{Ended, System, lsn};
use dfs_env::Env;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("it runs").success());
}

#[test]
fn mistakes_on_the_command_line_are_told_in_three_lines() {
    let system = System::new();
    assert!(system.refused(2, ["stta", "/a"]).contains("'stat'"));
    system.refused(2, ["ls", "--frob"]);
    system.refused(2, ["put"]);
    system.refused(2, ["ls", "--consistency", "stale"]);
    system.refused(2, ["dev", "up", "--units", "0"]);
    let json = system.run(["-o", "json", "ls", "--at", "yesterday"]);
    let json: serde_json::Value = serde_json::from_str(&json.stderr).expect("JSON");
    assert_eq!(json["exit"], 2);
    assert_eq!(system.run(["ls", "--help"]).code, 0);
    assert_eq!(system.run(["--version"]).code, 0);
}

#[test]
fn what_is_left_out_of_a_tree_is_partial_and_alone_is_a_conflict() {
    let system = System::up();
    system.write("tree/a", "a");
    fifo(&system.path("tree/pipe"));
    let put = system.run(["put", "tree", "/tree"]);
    assert_eq!((put.code, put.stdout.len()), (9, 0), "{}", put.stderr);
    assert!(
        put.stderr.starts_with("error: cannot put tree/pipe\n"),
        "{}",
        put.stderr
    );
    let last = put.stderr.lines().last().expect("a line");
    assert_eq!(last, "1 entry failed: run it again for what is missing");
    assert!(
        put.stderr
            .contains("put /tree only in part  1 file 1 B in "),
        "{}",
        put.stderr
    );
    assert_eq!(system.ok(["ls", "/tree"]), "a\n");

    for words in [vec!["put"], vec!["put", "--no-replace"]] {
        let words = words.iter().chain(["tree/pipe", "/x"].iter());
        let alone = system.refused(4, words);
        assert!(alone.contains("dfsctl put - /x < tree/pipe"), "{alone}");
    }
}

/// Flips a bit in the middle of every file of this size or more.
fn damage(directory: &Path, size: u64) -> usize {
    let mut damaged = 0;
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("read").path();
        if path.is_dir() {
            damaged += damage(&path, size);
        } else if path.to_string_lossy().contains("extents") {
            let mut bytes = fs::read(&path).expect("read");
            if bytes.len() as u64 >= size {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                fs::write(&path, bytes).expect("written");
                damaged += 1;
            }
        }
    }
    damaged
}

#[test]
fn damage_is_told_once_and_never_as_success() {
    let system = System::up();
    system.write("f", vec![7; 200_000]);
    system.ok(["put", "f", "/d/f"]);
    system.ok(["dev", "down"]);
    assert!(
        damage(&system.path("dev"), 200_000) > 0,
        "no extent is there"
    );
    system.ok(["dev", "up", "--port", "0"]);
    system.refused(8, ["get", "/d/f", "back"]);
    assert!(!system.path("back").exists());
    let tree = system.run(["get", "/d", "tree"]);
    assert_eq!((tree.code, tree.stdout.len()), (8, 0), "{}", tree.stderr);
    assert!(!tree.stderr.contains("WARN"), "{}", tree.stderr);
    let verbose = system.run(["-v", "get", "/d/f", "back"]);
    assert!(verbose.stderr.contains("WARN"), "{}", verbose.stderr);
}

#[test]
fn a_moment_that_is_not_there_says_why() {
    let system = System::up();
    let before = system.refused(3, ["ls", "/@-100y"]);
    assert!(
        before.contains("the cluster did not exist then"),
        "{before}"
    );
    system.refused(3, ["--at", "2001-01-01T00:00Z", "ls", "/"]);
    let (env, began) = (Env::real(), Env::real().now());
    let future = system.refused(2, ["--consistency", "at-least:99999999", "ls", "/"]);
    assert!(future.contains("lies in the future"), "{future}");
    assert!(
        env.now() - began < Duration::from_secs(10),
        "it waits for nothing"
    );
    let made = lsn(&system.ok(["mkdir", "/made"]));
    let listed = system.ok(["ls", "/", "--consistency", &format!("at-least:{made}")]);
    assert_eq!(listed, "made/\n");
}

#[test]
fn names_are_lines_or_end_with_nul() {
    let system = System::up();
    system.write("odd/a\nb\x1b[31m", "x");
    system.ok(["put", "odd", "/odd"]);
    assert_eq!(
        system.ok(["ls", "-o", "name", "/odd"]),
        "/odd/a\\nb\\u{1b}[31m\n"
    );
    assert_eq!(system.ok(["ls", "-0", "/odd"]), "/odd/a\nb\x1b[31m\0");
    assert_eq!(system.ok(["cat", "/odd/a\nb\x1b[31m"]), "x");
    let gone = system.refused(3, ["cat", "/odd/\x1b[31m"]);
    assert!(!gone.contains('\x1b'), "{gone:?}");
}

#[test]
fn the_mode_of_what_a_symlink_points_to_is_changed() {
    let system = System::up();
    system.write("t/f", "x");
    symlink("f", system.path("t/link")).expect("made");
    symlink("nowhere", system.path("t/broken")).expect("made");
    symlink("loop", system.path("t/loop")).expect("made");
    system.ok(["put", "t", "/t"]);
    let changed = system.ok(["chmod", "600", "/t/link"]);
    assert!(changed.starts_with("changed /t/f to 0600"), "{changed}");
    assert!(system.ok(["ls", "-l", "/t/f"]).contains("-rw------- "));
    system.refused(3, ["chmod", "600", "/t/broken"]);
    system.refused(4, ["chmod", "600", "/t/loop"]);
}

#[test]
fn a_time_that_cannot_be_kept_is_said() {
    let system = System::up();
    let late = fs::File::create(system.path("late")).expect("made");
    let year_2300 = std::time::UNIX_EPOCH + Duration::from_secs(10_413_792_000);
    late.set_modified(year_2300).expect("set");
    for words in [vec!["put"], vec!["put", "--no-replace"]] {
        let to = format!("/{}", words.len());
        let put = system.run(words.into_iter().chain(["late", &to]));
        assert_eq!(put.code, 0, "{}", put.stderr);
        assert!(put.stderr.starts_with("warning: "), "{}", put.stderr);
        let stat = system.ok(["stat", &to]);
        assert!(stat.contains("2262-04-11 23:47:16"), "{stat}");
    }
}

#[test]
fn nobody_at_the_address_is_known_soon() {
    let system = System::new();
    let (env, began) = (Env::real(), Env::real().now());
    let refused = system.refused(6, ["--sequencers", "127.0.0.1:1", "ls", "/"]);
    assert!(
        refused.contains("no cluster answers at 127.0.0.1:1"),
        "{refused}"
    );
    assert!(
        env.now() - began < Duration::from_secs(15),
        "far below the 30 s of a request"
    );
}

#[test]
fn an_interrupted_get_of_a_large_file_is_gone_on_with() {
    let system = System::up();
    let large = fs::File::create(system.path("large")).expect("made");
    large.set_len(600 << 20).expect("set");
    system.ok(["put", "large", "/large"]);
    fs::create_dir(system.path("into")).expect("made");
    let names = || -> Vec<String> {
        let into = fs::read_dir(system.path("into")).expect("listed");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        into.map(|entry| name(entry.expect("read"))).collect()
    };
    for signal in [Signal::TERM, Signal::INT] {
        let mut get = system.command(["get", "/large", "into/"]);
        let get = get
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        while names().is_empty() {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&get), signal).expect("sent");
        let ended = Ended::of(get.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, 130, "{}", ended.stderr);
        let left = names();
        let is_unfinished = |name: &String| name.starts_with(".dfs-unfinished-");
        assert!(left.iter().all(is_unfinished), "{signal:?}: {left:?}");
        if signal == Signal::TERM {
            // Else the next would not be waited for until it has begun.
            for name in left {
                fs::remove_file(system.path("into").join(name)).expect("removed");
            }
        }
    }
    system.ok(["get", "/large", "into/"]);
    assert_eq!(names(), ["large"]);
    let got = fs::metadata(system.path("into/large")).expect("there");
    assert_eq!(got.len(), 600 << 20);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let system = System::up();
    let first = system.ok(["dev", "up", "-o", "name"]);
    let port = first.trim_end().rsplit_once(':').expect("host:port").1;
    system.refused(4, ["dev", "up", "--dir", "other", "--port", port]);
    assert!(!system.path("other").exists());
    system.write("mine/file", "mine");
    system.refused(4, ["dev", "up", "--dir", "mine", "--port", port]);
    system.refused(
        4,
        ["dev", "up", "--foreground", "--dir", "mine", "--port", port],
    );
    let names: Vec<_> = fs::read_dir(system.path("mine")).expect("listed").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let asked = {
        system.ok(["dev", "down"]);
        system.refused(2, ["dev", "reset"])
    };
    assert!(asked.contains("say --name dev beforehand"), "{asked}");
}

#[test]
fn a_system_that_loses_its_profile_is_told_of() {
    let system = System::up();
    let first = system.ok(["dev", "up", "-o", "name"]);
    let second = system.run(["dev", "up", "--dir", "other", "--port", "0"]);
    assert_eq!(second.code, 0, "{}", second.stderr);
    let said = format!("still runs at {}", first.trim_end());
    assert!(second.stderr.contains(&said), "{}", second.stderr);
    system.ok(["dev", "down", "--dir", "other"]);
    let back = system.run(["dev", "up"]);
    assert_eq!(back.stderr, "", "nothing is lost now");
}
