//! dfs-log-units.
