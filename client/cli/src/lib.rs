//! dfs-cli.
