//! A `put` into a cluster of four processes, one unit behind a slow line: seen as one trace by a collector, found
//! by `why`, told in the logs.
use crate::system::System;
use dfs_env::Env;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const DELAY: Duration = Duration::from_millis(200);
/// Whatever is awaited here comes within seconds, or never.
const PATIENCE: Duration = Duration::from_secs(60);

/// `dfsctl serve`, killed with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended already
        let _ = self.0.wait();
    }
}

/// Takes what a collector of OpenTelemetry would take.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let mut spans = self.0.lock().expect("whole");
        spans.extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start(&self, env: &Env) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let service = TraceServiceServer::new(self.clone());
        env.spawn("collector", async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let incoming = TcpListenerStream::new(listener);
            let _ended = server.serve_with_incoming(incoming).await;
        });
        format!("http://{address}")
    }

    fn of(&self, request_id: &str) -> Vec<Span> {
        let spans = self.0.lock().expect("whole");
        let mine = spans
            .iter()
            .filter(|span| hex(&span.trace_id) == request_id);
        mine.cloned().collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role(span: &Span) -> String {
    let role = span.attributes.iter().find(|field| field.key == "dfs.role");
    let value = role.and_then(|role| role.value.as_ref()?.value.as_ref());
    match value {
        Some(Text::StringValue(role)) => role.clone(),
        _ => String::new(),
    }
}

/// Every parent is there, and one has none.
fn is_one_tree(spans: &[Span]) -> bool {
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    let is_root = |span: &&Span| span.parent_span_id.is_empty();
    let resolves = |span: &Span| is_root(&span) || ids.contains(span.parent_span_id.as_slice());
    spans.iter().all(resolves) && spans.iter().filter(is_root).count() == 1
}

/// Bytes towards `to` arrive later, all by the same time.
async fn slow_line(env: &Env, to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let inner = env.clone();
    env.spawn("slow line", async move {
        while let Ok((from, _)) = listener.accept().await {
            let Ok(onward) = TcpStream::connect(&to).await else {
                continue;
            };
            let ((mut from_in, mut from_out), (mut on_in, mut on_out)) =
                (from.into_split(), onward.into_split());
            let (late, mut due) = mpsc::channel(1024); // chunks of one delay
            let env = inner.clone();
            inner.spawn("in", async move {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_in.read(&mut bytes).await {
                    let chunk = (env.now() + DELAY, bytes[..read].to_vec());
                    if late.send(chunk).await.is_err() {
                        return;
                    }
                }
            });
            let env = inner.clone();
            inner.spawn("late", async move {
                while let Some((at, bytes)) = due.recv().await {
                    env.sleep(at.saturating_duration_since(env.now())).await;
                    if on_out.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
            inner.spawn("out", async move {
                let _ended = tokio::io::copy(&mut on_in, &mut from_out).await;
            });
        }
    });
    address
}

async fn free_address() -> String {
    let held = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    held.local_addr().expect("bound").to_string()
}

/// A process of the cluster; what it says goes to NAME.log.
fn serve(system: &System, name: &str, keys: &str) -> Serving {
    let dir = system.path(name);
    let config = system.write(&format!("{name}.toml"), format!("dir = {dir:?}\n{keys}"));
    let said = File::create(system.path(&format!("{name}.log"))).expect("a file");
    let mut command = system.command(["serve", "--config"]);
    command.arg(config).env("DFSCTL_LOG", "info");
    command.stdout(Stdio::null()).stderr(said);
    Serving(command.spawn().expect("it runs"))
}

async fn until<T>(env: &Env, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = env.now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(env.now() < deadline, "{what} never came");
        env.sleep(Duration::from_millis(50)).await;
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The unit that answers there, once three are live.
fn unit_at(system: &System, address: &str) -> Option<String> {
    let listed = system.run(["node", "list", "-o", "json"]);
    let listed = String::from_utf8(listed.stdout)
        .ok()
        .filter(|text| !text.is_empty())?;
    let listed = json(&listed);
    let rows = listed["items"].as_array()?.iter();
    let is_unit = |row: &&Value| {
        row["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("unit/"))
    };
    let live: Vec<&Value> = rows
        .filter(is_unit)
        .filter(|row| row["live"] == true)
        .collect();
    let here = live.iter().find(|row| row["address"] == address)?;
    let name = here["name"].as_str()?.strip_prefix("unit/")?.to_owned();
    (live.len() == 3).then_some(name)
}

struct Cluster {
    system: System,
    collector: Collector,
    endpoint: String,
    /// Behind the slow line.
    slow: String,
    _serving: Vec<Serving>,
}

async fn cluster(env: &Env) -> Cluster {
    let (system, collector) = (System::new(), Collector::default());
    let endpoint = collector.start(env).await;
    let (first, second, third) = (
        free_address().await,
        free_address().await,
        free_address().await,
    );
    let line = slow_line(env, third.clone()).await;
    let everywhere = format!("sequencers = [{first:?}]\ntraces = {endpoint:?}");
    let made =
        "[cluster]\nlog_replicas = 3\nlog_write_quorum = 2\nfile_copies = 3\nshard_replicas = 1";
    let processes = [
        (
            "first",
            format!("listen = {first:?}\n{everywhere}\n{made}\n"),
        ),
        (
            "second",
            format!("listen = {second:?}\nroles = [\"unit\"]\n{everywhere}\n"),
        ),
        (
            "third",
            format!("listen = {third:?}\nadvertise = {line:?}\nroles = [\"unit\"]\n{everywhere}\n"),
        ),
    ];
    let serving = processes.map(|(name, keys)| serve(&system, name, &keys));
    until(env, "the cluster", || {
        let connected = system.run(["connect", &first, "--timeout", "2s"]);
        (connected.code == 0).then_some(())
    })
    .await;
    let slow = until(env, "three units", || unit_at(&system, &line)).await;
    Cluster {
        system,
        collector,
        endpoint,
        slow,
        _serving: serving.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_put_is_one_trace_and_why_finds_the_slow_unit() {
    let env = Env::real().group("test");
    let cluster = cluster(&env).await;
    let system = &cluster.system;
    let file = system.write("file", vec![7; 100 << 10]);
    let mut put = system.command(["put", "-o", "json"]);
    put.arg(file)
        .arg("/file")
        .env("DFSCTL_TRACES", &cluster.endpoint);
    let put = crate::system::Ended::of(put.output().expect("it runs"));
    assert_eq!(put.code, 0, "{}", put.stderr);
    let put = json(&String::from_utf8(put.stdout).expect("text"));
    let id = put["request_id"].as_str().expect("it has one");
    assert_eq!(id.len(), 32, "a W3C trace id");
    let spans = until(&env, "one whole trace", || {
        let spans = cluster.collector.of(id);
        let roles: BTreeSet<String> = spans.iter().map(role).collect();
        let all = ["cli", "client", "log unit", "materializer", "sequencer"];
        let whole = all.iter().all(|role| roles.contains(*role)) && is_one_tree(&spans);
        whole.then_some(spans)
    })
    .await;
    let root = spans.iter().find(|span| span.parent_span_id.is_empty());
    assert_eq!(root.map(|root| root.name.as_str()), Some("cli.command"));
    assert_why(system, id, &cluster.slow);
    assert_logged(system);
}

fn assert_why(system: &System, id: &str, slow: &str) {
    let why = system.ok(["why", id]);
    let line = why.lines().next().expect("a verdict");
    let found = format!("slowest: extents.store on unit {slow} (");
    assert!(line.starts_with(&found), "{why}");
    let told = json(&system.ok(["why", id, "-o", "json"]));
    let steps = told["spans"].as_array().expect("a list");
    let own = steps
        .iter()
        .map(|step| step["own_us"].as_u64().expect("µs"));
    let longest = own.max().expect("one");
    assert!(u128::from(longest) >= DELAY.as_micros(), "{why}");
    let put = told["request_id"].as_str().expect("its own");
    assert_ne!(put, id);
    let stat = json(&system.ok(["stat", "/file", "-o", "json"]));
    let lsn = stat["version"]
        .as_u64()
        .or_else(|| stat["lsn"].as_u64())
        .expect("one");
    let told = system.ok(["why", &lsn.to_string()]);
    assert!(
        told.contains(&format!("lsn {lsn} is there")) && told.contains("stripe"),
        "{told}"
    );
    let told = system.ok(["why", &(lsn + 1_000_000).to_string()]);
    assert!(told.contains("is not there yet"), "{told}");
    let told = system.ok(["why", "/file"]);
    assert!(told.starts_with("/file: nothing is in its way"), "{told}");
    assert!(
        told.contains("primary materializer") && told.contains("group"),
        "{told}"
    );
    system.refused(3, ["why", &"ab".repeat(16)]);
    system.refused(3, ["why", "/none"]);
}

/// What a role says of a request it refused names the request, itself and its node.
fn assert_logged(system: &System) {
    let refused = system.refused(4, ["mkdir", "/file"]);
    let (_, id) = refused.split_once("request_id ").expect("a request");
    let id: String = id.chars().take_while(char::is_ascii_hexdigit).collect();
    let log = std::fs::read_to_string(system.path("first.log")).expect("a log");
    let lines = log.lines().filter(|line| line.starts_with('{')).map(json);
    let said = lines.filter(|line| line["span"]["request_id"] == *id);
    let said: Vec<Value> = said.collect();
    assert!(!said.is_empty(), "{id} is not in\n{log}");
    for line in said {
        assert_eq!(line["span"]["role"], "materializer", "{line}");
        assert!(
            line["span"]["node"].as_u64().is_some_and(|node| node > 0),
            "{line}"
        );
    }
}

#[test]
fn a_collector_that_is_away_fails_nothing() {
    let system = System::up();
    let mut made = system.command(["mkdir", "/made"]);
    made.env("DFSCTL_TRACES", "http://127.0.0.1:1");
    let made = crate::system::Ended::of(made.output().expect("it runs"));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let mut odd = system.command(["ls", "/"]);
    odd.env("DFSCTL_TRACES", "no address at all");
    let odd = crate::system::Ended::of(odd.output().expect("it runs"));
    assert_eq!(odd.code, 0, "{}", odd.stderr);
    assert!(
        odd.stderr.contains("DFSCTL_TRACES is passed over"),
        "{}",
        odd.stderr
    );
}
