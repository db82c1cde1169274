//! dfs-load.
