//! dfs-fs.
