//! dfs-log.
