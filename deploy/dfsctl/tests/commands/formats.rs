//! Output for programs: JSON, lines, names; progress; readers that go away.
use crate::system::System;
use serde_json::Value;
use std::io::Read;
use std::process::Stdio;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn json_carries_version_numbers_lsn_and_request_id() {
    let system = System::up();
    system.write("a.txt", "hello");
    let put = json(&system.ok(["put", "a.txt", "/a.txt", "-o", "json"]));
    assert_eq!(
        (&put["kind"], &put["files"], &put["bytes"]),
        (&"Put".into(), &1.into(), &5.into())
    );
    assert!(put["lsn"].as_u64().expect("a number") > 0);
    let stat = json(&system.ok(["stat", "/a.txt", "-o", "json"]));
    for key in [
        "apiVersion",
        "lsn",
        "request_id",
        "mtime_ns",
        "mode",
        "version_lsn",
        "crc32c",
    ] {
        assert!(!stat[key].is_null(), "{key} is missing");
    }
    assert_eq!(stat["size"], 5);
    let list = json(&system.ok(["ls", "-o", "json"]));
    assert_eq!(list["items"][0]["path"], "/a.txt");
    assert_eq!(system.ok(["ls", "-o", "jsonl"]).lines().count(), 1);
    let error = system.run(["stat", "/none", "-o", "json"]);
    assert_eq!(json(&error.stderr)["exit"], 3);
}

#[test]
fn names_can_be_given_to_the_next_command() {
    let system = System::up();
    system.ok(["mkdir", "/with@@sign"]);
    let name = system.ok(["ls", "-o", "name", "/"]);
    assert_eq!(name, "/with@@sign\n");
    system.ok(["rm", name.trim_end()]);
}

#[test]
fn pages_of_a_directory() {
    let system = System::up();
    for name in ["a", "b", "c", "d"] {
        system.ok(["mkdir", &format!("/{name}")]);
    }
    assert_eq!(system.ok(["ls", "/", "--limit", "2"]), "a/\nb/\n");
    assert_eq!(system.ok(["ls", "/", "--start-after", "b"]), "c/\nd/\n");
    let page = json(&system.ok(["ls", "/", "--limit", "2", "-o", "json"]));
    assert_eq!(page["more"], true);
}

#[test]
fn progress_is_json_on_standard_error() {
    let system = System::up();
    system.write("f", vec![1; 100_000]);
    let put = system.run(["put", "f", "/f", "--progress", "json"]);
    let last = put.stderr.lines().last().expect("a line");
    assert_eq!(json(last)["files"], 1);
    assert_eq!(system.run(["put", "-q", "f", "/g"]).stdout, b"");
}

#[test]
fn standard_input_and_output_are_files_too() {
    let system = System::up();
    let mut put = system.command(["put", "-", "/from-stdin"]);
    let file = std::fs::File::open(system.write("in", "through a pipe")).expect("opened");
    assert!(put.stdin(file).status().expect("it runs").success());
    assert_eq!(system.ok(["get", "/from-stdin", "-"]), "through a pipe");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let system = System::up();
    system.write("f", vec![b'x'; 4 << 20]);
    system.ok(["put", "f", "/f"]);
    let mut cat = system.command(["cat", "/f"]);
    let mut cat = cat
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut some = [0; 16];
    cat.stdout
        .take()
        .expect("piped")
        .read_exact(&mut some)
        .expect("read");
    let mut said = String::new();
    let mut stderr = cat.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("read");
    assert_eq!(said, "");
    assert_eq!(cat.wait().expect("it ends").code(), Some(0));
}

#[test]
fn profiles_are_kept_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let system = System::up();
    let mode = std::fs::metadata(system.path("config.toml"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = json(&system.ok(["profile", "list", "-o", "json"]));
    let address = list["items"][0]["sequencers"][0]
        .as_str()
        .expect("text")
        .to_string();
    system.ok(["connect", &address, "--name", "other"]);
    system.ok(["profile", "test", "other"]);
    system.ok(["profile", "use", "dev"]);
    assert_eq!(system.ok(["ls", "other:/"]), "");
    system.ok([
        "profile",
        "add",
        "wrong",
        &address,
        "--cluster-id",
        "00112233",
    ]);
    let refused = system.run(["-p", "wrong", "ls", "/"]);
    assert_eq!(refused.code, 2, "another cluster: {}", refused.stderr);
}

#[test]
fn completions_and_version_need_no_cluster() {
    let system = System::new();
    assert!(system.ok(["completions", "bash"]).contains("dfsctl"));
    assert!(json(&system.ok(["version", "-o", "json"]))["protocol"].is_u64());
}

/// As getfacl(1) and getfattr(1) would have it, and a `+` in listings.
#[test]
fn acls_and_attributes_are_shown_as_everywhere() {
    let system = System::up();
    system.ok(["mkdir", "/d"]);
    system.ok(["setfacl", "-m", "d:u:4000007:rwx", "/d"]);
    system.ok(["touch", "/d/f"]);
    system.ok(["setfacl", "-m", "g:4000008:rx,m::r", "/d/f"]);
    let shown = system.ok(["getfacl", "/d/f"]);
    let entries: Vec<&str> = shown.lines().skip(3).collect();
    let expected = [
        "user::rw-",
        "user:4000007:rwx\t#effective:r--",
        "group::r-x\t#effective:r--",
        "group:4000008:r-x\t#effective:r--",
        "mask::r--",
        "other::r--",
        "",
    ];
    assert_eq!(entries, expected, "{shown}");
    assert!(shown.starts_with("# file: /d/f\n# owner: "), "{shown}");
    let listed = system.ok(["ls", "-l", "/d"]);
    assert!(listed.contains("-rw-r--r--+ "), "{listed}");
    let changed = system.ok(["setfacl", "-R", "-b", "/d"]);
    assert!(
        changed.starts_with("changed the ACL of /d  2 entries  lsn "),
        "{changed}"
    );
    system.refused(2, ["setfacl", "-m", "u:4000007:rwz", "/d/f"]);

    system.ok(["xattr", "set", "/d/f", "user.a=1", "user.b=two words"]);
    assert_eq!(system.ok(["xattr", "get", "/d/f", "user.b"]), "two words");
    assert_eq!(
        system.ok(["xattr", "list", "/d/f"]),
        "user.a=1\nuser.b=two words\n"
    );
    system.ok(["xattr", "remove", "/d/f", "user.a"]);
    system.refused(3, ["xattr", "get", "/d/f", "user.a"]);
    system.refused(3, ["xattr", "remove", "/d/f", "user.a"]);
    system.refused(2, ["xattr", "set", "/d/f", "trusted.a=1"]);
}
