//! One sequencer becomes three by what people type; what makes no sense is refused.
use crate::system::System;
use std::net::TcpListener;
use std::process::{Child, Stdio};

/// `dfsctl serve`, killed with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended already
        let _ = self.0.wait();
    }
}

fn free_address() -> String {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    held.local_addr().expect("bound").to_string()
}

/// Of `dev up`, as its profile has it.
fn first(system: &System) -> String {
    let listed = system.ok(["profile", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let address = listed["items"][0]["sequencers"][0].as_str();
    address.expect("an address").to_owned()
}

/// A sequencer that joins, in a process of its own.
fn serve(system: &System, name: &str, known: &str) -> (Serving, String) {
    let (dir, address) = (system.path(name), free_address());
    let text = format!(
        "dir = {dir:?}\nlisten = {address:?}\nroles = [\"sequencer\"]\njoin = true\nsequencers = [{known:?}]\n"
    );
    let config = system.write(&format!("{name}.toml"), text);
    let mut command = system.command(["serve", "--config"]);
    command
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (Serving(command.spawn().expect("it runs")), address)
}

fn names(system: &System) -> Vec<String> {
    let listed = system.ok(["node", "list", "-o", "name"]);
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_group_grows_moves_its_leadership_and_shrinks() {
    let system = System::up();
    let one = first(&system);
    assert!(names(&system).contains(&"sequencer/1".to_owned()));
    system.refused(11, ["node", "remove", "sequencer/1", "--force"]);
    system.refused(11, ["node", "remove", "unit/1"]);
    system.refused(11, ["node", "drain", "unit/1"]);
    system.refused(3, ["node", "drain", "unit/9"]);
    system.refused(2, ["node", "drain", "sequencer/1"]);
    system.refused(2, ["node", "remove", "sequencer/1", "--lost"]);
    system.refused(3, ["node", "get", "sequencer/2"]);
    system.refused(6, ["node", "add", &free_address(), "--timeout", "300ms"]);
    // One that takes connections and says nothing is not waited for without end.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = mute.local_addr().expect("it has one").to_string();
    let told = system.refused(6, ["node", "add", &at, "--timeout", "300ms"]);
    assert!(told.contains("nothing answers there"), "{told}");
    let (second, two) = serve(&system, "two", &one);
    let added = system.ok(["node", "add", &two]);
    assert_eq!(
        added,
        format!("sequencer/2 at {two} is a voter  voters 2\n")
    );
    system.refused(4, ["node", "add", &two]);
    system.refused(11, ["node", "remove", "sequencer/2"]);
    let (_third, three) = serve(&system, "three", &two);
    let added = system.ok(["node", "add", &three, "--learner", "-o", "json"]);
    assert!(added.contains("sequencer/3"), "{added}");
    system.ok(["node", "wait", "sequencer/3", "--for", "learner"]);
    system.ok(["node", "wait", "sequencer/3", "--for", "caught-up"]);
    system.refused(
        7,
        [
            "node",
            "wait",
            "sequencer/3",
            "--for",
            "voter",
            "--deadline",
            "200ms",
        ],
    );
    system.refused(2, ["node", "wait", "unit/1", "--for", "leader"]);
    system.ok(["node", "add", &three]);
    system.ok(["node", "wait", "sequencer/3", "--for", "voter"]);
    let moved = system.ok(["node", "transfer-leader", "--to", "3"]);
    assert!(moved.starts_with("sequencer/3 leads"), "{moved}");
    system.ok(["node", "wait", "sequencer/3", "--for", "leader"]);
    system.refused(3, ["node", "transfer-leader", "--to", "9"]);
    // All of it works while another one leads; the profile has learnt of all three.
    system.ok(["mkdir", "/d"]);
    let listed = system.ok(["profile", "list"]);
    assert!(
        [&one, &two, &three].iter().all(|at| listed.contains(*at)),
        "{listed}"
    );
    drop(second);
    system.ok(["node", "wait", "sequencer/2", "--for", "gone"]);
    system.refused(11, ["node", "remove", "sequencer/1"]);
    system.ok(["node", "remove", "sequencer/2"]);
    system.ok(["node", "wait", "sequencer/2", "--for", "removed"]);
    system.refused(3, ["node", "remove", "sequencer/2"]);
    let row = system.ok(["node", "get", "sequencer/3", "-o", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(&row).expect("JSON");
    assert_eq!(
        (&row["state"], &row["live"]),
        (&"leader".into(), &true.into())
    );
    system.ok(["mkdir", "/e"]);
}

#[test]
fn a_unit_is_drained_and_removed() {
    let system = System::new();
    system.ok(["dev", "up", "--port", "0", "--units", "4"]);
    system.ok(["mkdir", "/before"]);
    let drained = system.ok(["node", "drain", "unit/1"]);
    assert!(
        drained.contains("unit/1 is drained; it can be removed"),
        "{drained}"
    );
    system.ok(["mkdir", "/meanwhile"]);
    system.ok(["node", "remove", "unit/1"]);
    system.ok(["node", "wait", "unit/1", "--for", "removed"]);
    // Three are needed, and three are left.
    system.refused(11, ["node", "drain", "unit/2"]);
    system.ok(["mkdir", "/after"]);
    let listed = system.ok(["ls", "-o", "name", "/"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
}
