//! dfs-node.
