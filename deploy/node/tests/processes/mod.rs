//! Nodes in processes of their own, which can be killed: this test binary, started again as one node.

use dfs_env::Env;
use dfs_node::config::NodeConfig;
use dfs_node::process::Node;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;

/// The test that is a node when it is asked to be one. Each binary with processes has it, and calls [`serve`].
const ENTRY: &str = "a_node_of_its_own";
const CONFIG: &str = "DFS_TEST_NODE_CONFIG";
/// Before a node's id.
const SERVES: &str = "serves: ";

/// Runs the node of the configuration that was named, until whoever started it is gone; if any was.
pub(crate) fn serve() {
    let Some(path) = std::env::var_os(CONFIG) else {
        return;
    };
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let text = std::fs::read_to_string(path).unwrap();
        let config: NodeConfig = toml::from_str(&text).unwrap();
        let node = Node::start(&Env::real(), config).await.unwrap();
        let node_id = node.roles().owner.node_id;
        println!("{SERVES}{node_id}");
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    });
    std::process::exit(0);
}

/// A running one.
pub(crate) struct Process {
    child: Child,
    pub(crate) node_id: u64,
}

impl Process {
    /// Once it is registered.
    pub(crate) async fn start(config: &Path) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", ENTRY, "--nocapture"]);
        command.env(CONFIG, config).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = said.next_line().await.unwrap();
            let line = line.expect("it ended before it served");
            let Some((_, told)) = line.split_once(SERVES) else {
                continue;
            };
            let node_id = told.trim().parse().unwrap();
            return Process { child, node_id };
        }
    }

    /// SIGKILL; gone when this returns.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
